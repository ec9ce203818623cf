using System.Collections.Concurrent;
using TensorParallel.Protocol.Generation;
using TensorParallel.Worker.Execution;

namespace TensorParallel.Worker.Session;

/// <summary>
/// Answers steps in the order issued, each when it is done: at once where the model computes as it issues; else a thread of its own
/// waits for the device and then calls on the compute thread, which may issue further steps meanwhile. Belongs to the compute thread.
/// </summary>
/// <param name="compute">The model's thread.</param>
/// <param name="answer">Sends a result.</param>
internal sealed class StepAnswers(ComputeThread compute, Action<StepResult> answer)
{
    private readonly Queue<IPendingStep> _pending = [];
    private readonly BlockingCollection<IPendingStep> _watched = [];
    private Thread? _watcher;

    /// <summary>A step was issued.</summary>
    public void Add(IPendingStep step)
    {
        _pending.Enqueue(step);
        AnswerDone();
        if (_pending.Count > 0)
        {
            Watch(step);
        }
    }

    /// <summary>Waits for all steps and answers them. Nothing looks at them afterwards: the model may be disposed.</summary>
    public void Close()
    {
        while (_pending.TryDequeue(out var step))
        {
            answer(step.Finish());
        }

        _watched.CompleteAdding();
        _watcher?.Join();
    }

    private void AnswerDone()
    {
        while (_pending.TryPeek(out var step) && step.IsDone)
        {
            _pending.Dequeue();
            answer(step.Finish());
        }
    }

    private void Watch(IPendingStep step)
    {
        if (_watcher is null)
        {
            _watcher = new Thread(WaitForSteps) { IsBackground = true, Name = "step watcher" };
            _watcher.Start();
        }

        _watched.Add(step);
    }

    // Only waits: what has become of a step, the compute thread finds out.
    private void WaitForSteps()
    {
        foreach (var step in _watched.GetConsumingEnumerable())
        {
            step.Wait();
            compute.Post(AnswerDone);
        }
    }
}
