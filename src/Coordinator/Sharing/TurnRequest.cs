namespace TensorParallel.Coordinator.Sharing;

/// <summary>Somebody who waits for a model's turn.</summary>
/// <param name="model">The model.</param>
/// <param name="isStart">Its workers are to be started; else they are there and are asked back.</param>
internal sealed class TurnRequest(SharedModel model, bool isStart)
{
    private readonly TaskCompletionSource<IDisposable> _turn = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>The model.</summary>
    public SharedModel Model => model;

    /// <summary>Its workers are to be started.</summary>
    public bool IsStart => isStart;

    /// <summary>Completes with the turn.</summary>
    public Task<IDisposable> Turn => _turn.Task;

    /// <summary>Gives the turn; false: nobody waits any more, and the turn is still the caller's.</summary>
    public bool TryGive(IDisposable turn) => _turn.TrySetResult(turn);

    /// <summary>There will be no turn.</summary>
    public void Refuse(Exception reason) => _turn.TrySetException(reason);

    /// <summary>Nobody waits any more.</summary>
    public void Cancel(CancellationToken cancellationToken) => _turn.TrySetCanceled(cancellationToken);
}
