using TensorParallel.Protocol.Generation;
using TensorParallel.Protocol.Parallel;

namespace TensorParallel.Coordinator.Workers;

/// <summary>
/// All ranks of one model as one: loaded, joined and ready. Fails as a whole: after the first lost rank every pending
/// and later call faults with the same <see cref="WorkerLostException"/>, and the group must be disposed and started
/// anew.
/// </summary>
internal interface IWorkerGroup : IAsyncDisposable
{
    /// <summary>The plan the workers loaded.</summary>
    ExecutionPlan Plan { get; }

    /// <summary>
    /// Completes, never faults, when the group fails; the result says why. Completes also while nothing is running.
    /// </summary>
    Task<WorkerLostException> Lost { get; }

    /// <summary>
    /// Sends one step to every rank before it returns, and completes when every rank has answered, with the tokens of
    /// the rank that reports them. Called by one thread at a time, in step order; the next step may be sent before this one
    /// completes. Whoever waits for it may go on on the thread that took in the last answer, which takes in no others meanwhile: it must
    /// return quickly.
    /// </summary>
    Task<StepResult> StepAsync(StepBatch batch);
}
