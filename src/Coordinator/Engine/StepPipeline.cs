using TensorParallel.Coordinator.Workers;
using TensorParallel.Protocol.Generation;

namespace TensorParallel.Coordinator.Engine;

/// <summary>
/// The steps of one worker group: sent ahead of the answers, completed in the order sent. Used by the engine loop
/// only.
/// </summary>
/// <param name="group">Runs the steps.</param>
/// <param name="scheduler">Says what they are.</param>
/// <param name="counters">Counts them.</param>
/// <param name="time">Stamps tokens.</param>
/// <param name="stepDone">Called on any thread when a step has been answered or has failed.</param>
internal sealed class StepPipeline(
    IWorkerGroup group, Scheduler scheduler, EngineCounters counters, TimeProvider time, Action stepDone)
{
    // While the workers compute step k, step k + 1 already lies before them; where stages compute at once, they have a step each.
    private readonly int _mostInFlight = scheduler.MicroBatches + 1;
    private readonly Queue<(ScheduledStep Step, Task<StepResult> Result)> _inFlight = new();

    /// <summary>Runs the steps.</summary>
    public IWorkerGroup Group => group;

    /// <summary>Says what the steps are.</summary>
    public Scheduler Scheduler => scheduler;

    /// <summary>No sequence has a slot and no step is in flight.</summary>
    public bool IsIdle => scheduler.Running == 0 && _inFlight.Count == 0;

    /// <summary>Sends steps while there is something to compute, until as many are in flight as may be.</summary>
    public void SendAhead()
    {
        while (_inFlight.Count < _mostInFlight && scheduler.Next() is { } step)
        {
            var result = Send(step.Batch);
            _inFlight.Enqueue((step, result));
            _ = NotifyAsync(result);
        }
    }

    /// <summary>
    /// Hands out the tokens of the steps that are done; true when there was one. Throws what the group threw, or that
    /// its answer makes no sense: then the group is of no use any more.
    /// </summary>
    public bool Complete()
    {
        var completed = false;
        while (_inFlight.TryPeek(out var next) && next.Result.IsCompleted)
        {
            _inFlight.Dequeue();
            var generated = scheduler.Complete(next.Step, next.Result.GetAwaiter().GetResult(), time.GetTimestamp());
            counters.Steps++;
            counters.PromptTokens += next.Step.Batch.Sequences.Sum(entry => entry.Tokens.Count);
            counters.GeneratedTokens += generated;
            completed = true;
        }

        return completed;
    }

    private Task<StepResult> Send(StepBatch batch)
    {
        try
        {
            return group.StepAsync(batch);
        }
        catch (Exception exception)
        {
            return Task.FromException<StepResult>(exception);
        }
    }

    // The notices of two steps may arrive in either order: a notice only says "look", Complete keeps the order.
    private async Task NotifyAsync(Task<StepResult> result)
    {
        await ((Task)result).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        stepDone();
    }
}
