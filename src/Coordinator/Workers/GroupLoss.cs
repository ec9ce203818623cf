namespace TensorParallel.Coordinator.Workers;

/// <summary>Settles which rank was lost first. Thread-safe.</summary>
internal sealed class GroupLoss
{
    // When a rank dies, its peers notice in their collective, sometimes before the coordinator hears of the death.
    private static readonly TimeSpan s_waitForCause = TimeSpan.FromSeconds(1);

    private readonly TaskCompletionSource<WorkerLostException> _lost =
        new(TaskCreationOptions.RunContinuationsAsynchronously);
    private volatile bool _closed;

    /// <summary>Completes, never faults, with the first loss.</summary>
    public Task<WorkerLostException> Lost => _lost.Task;

    /// <summary>A rank is lost.</summary>
    /// <param name="rank">The rank.</param>
    /// <param name="sentence">What happened.</param>
    /// <param name="consequence">
    /// The rank waited for a peer: if the peer's own loss is reported soon, that is the one told.
    /// </param>
    public void Report(int rank, string sentence, bool consequence = false)
    {
        if (_closed)
        {
            return;
        }

        var loss = new WorkerLostException(rank, sentence);
        if (consequence)
        {
            _ = SettleLaterAsync(loss);
        }
        else
        {
            _lost.TrySetResult(loss);
        }
    }

    /// <summary>From now on workers end because they were told to.</summary>
    public void Close() => _closed = true;

    private async Task SettleLaterAsync(WorkerLostException loss)
    {
        await Task.WhenAny(_lost.Task, Task.Delay(s_waitForCause));
        _lost.TrySetResult(loss);
    }
}
