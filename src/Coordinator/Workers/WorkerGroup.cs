using TensorParallel.Protocol.Generation;
using TensorParallel.Protocol.Parallel;
using TensorParallel.Protocol.Wire;
using TensorParallel.Protocol.Wire.Frames;
using TensorParallel.Protocol.Wire.Workers;
using StepResult = TensorParallel.Protocol.Generation.StepResult;

namespace TensorParallel.Coordinator.Workers;

/// <summary>N worker processes as one group; see the contract for threads and failure.</summary>
internal sealed partial class WorkerGroup : IWorkerGroup
{
    private readonly WorkerGroupOptions _options;
    private readonly IReadOnlyList<WorkerRank> _ranks;
    private readonly WorkerHub _hub;
    private readonly StepLedger _ledger;
    private readonly GroupLoss _loss;
    private readonly ITimer _watchdog;
    private int _disposed;

    /// <summary>Takes over ranks and hub; from here on a loss kills every process.</summary>
    public WorkerGroup(
        WorkerGroupOptions options,
        IReadOnlyList<WorkerRank> ranks,
        WorkerHub hub,
        StepLedger ledger,
        GroupLoss loss)
    {
        _options = options;
        _ranks = ranks;
        _hub = hub;
        _ledger = ledger;
        _loss = loss;
        _ = EndAllAfterLossAsync();
        var period = TimeSpan.FromTicks(Math.Min(options.StepTimeout.Ticks / 4, TimeSpan.TicksPerSecond));
        _watchdog = TimeProvider.System.CreateTimer(_ => CheckStepTime(), null, period, period);
    }

    /// <inheritdoc/>
    public ExecutionPlan Plan => _options.Plan;

    /// <inheritdoc/>
    public Task<WorkerLostException> Lost => _loss.Lost;

    /// <summary>What loading took; null until the group is ready.</summary>
    public LoadSummary? LoadSummary { get; internal set; }

    /// <summary>
    /// Most memory each worker process has had resident, in bytes and rank order, as of its last answer.
    /// </summary>
    public IReadOnlyList<long> PeakResidentBytes => [.. _ranks.Select(rank => rank.PeakResidentBytes)];

    /// <inheritdoc/>
    public Task<StepResult> StepAsync(StepBatch batch)
    {
        var result = _ledger.Add(batch.Step);
        if (!result.IsFaulted)
        {
            var command = new MessageFrame(new WorkerCommand { Step = WireMapping.ToWire(batch) });
            foreach (var rank in _ranks)
            {
                rank.Post(command);
            }
        }

        return result;
    }

    /// <summary>
    /// Stops the workers, kills those that do not end in time, and removes the socket; nothing is left after it.
    /// </summary>
    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _disposed, 1) != 0)
        {
            return;
        }

        _closing.SetResult();
        _loss.Close();
        await _watchdog.DisposeAsync();
        if (!_loss.Lost.IsCompleted)
        {
            foreach (var rank in _ranks)
            {
                rank.Post(new WorkerCommand { Stop = new Stop() });
            }

            await Task.WhenAny(Task.WhenAll(_ranks.Select(rank => rank.Exited)), Task.Delay(StopGrace()));
        }

        await Task.WhenAll(_ranks.Select(rank => rank.DisposeAsync().AsTask()));
        _ledger.Fail(new ObjectDisposedException(nameof(WorkerGroup)));
        await _hub.DisposeAsync();
    }

    // A worker that is still loading hears no stop before it has done, so there is nothing to wait for.
    private TimeSpan StopGrace() => LoadSummary is null ? TimeSpan.Zero : _options.StopGrace;

    private async Task EndAllAfterLossAsync()
    {
        var loss = await _loss.Lost;
        _ledger.Fail(loss);
        foreach (var rank in _ranks)
        {
            rank.Kill();
        }
    }

    private void CheckStepTime()
    {
        if (_ledger.Oldest() is { } wait && wait.Waited > _options.StepTimeout)
        {
            _ranks[wait.Rank].Lose(
                $"has not answered step {wait.Step} within {_options.StepTimeout.TotalSeconds:0.#} s");
        }
    }
}
