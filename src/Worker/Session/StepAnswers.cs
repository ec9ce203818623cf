using TensorParallel.Protocol.Generation;
using TensorParallel.Worker.Execution;

namespace TensorParallel.Worker.Session;

/// <summary>
/// Answers steps in the order issued, each when it is done: at once where the model computes as it issues; else the compute thread asks for
/// it whenever nothing is posted, and issues further steps meanwhile. Belongs to the compute thread.
/// </summary>
/// <param name="compute">The model's thread.</param>
/// <param name="answer">Sends a result.</param>
internal sealed class StepAnswers(ComputeThread compute, Action<StepResult> answer)
{
    private readonly Queue<IPendingStep> _pending = [];

    /// <summary>A step was issued.</summary>
    public void Add(IPendingStep step)
    {
        _pending.Enqueue(step);
        if (AnswerDone())
        {
            compute.Watch(AnswerDone);
        }
    }

    /// <summary>Waits for all steps and answers them.</summary>
    public void Close()
    {
        while (_pending.TryDequeue(out var step))
        {
            answer(step.Finish());
        }
    }

    // True while steps are left.
    private bool AnswerDone()
    {
        while (_pending.TryPeek(out var step) && step.IsDone)
        {
            _pending.Dequeue();
            answer(step.Finish());
        }

        return _pending.Count > 0;
    }
}
