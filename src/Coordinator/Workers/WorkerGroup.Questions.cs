using TensorParallel.Protocol.Wire.Workers;

namespace TensorParallel.Coordinator.Workers;

/// <content>What ranks are asked beside steps.</content>
internal sealed partial class WorkerGroup
{
    // Steps that may lie before a question, and the one that is computed.
    private const int MostStepsAhead = Engine.MicroBatches.Most + 2;

    private readonly SemaphoreSlim _asking = new(1);
    private readonly TaskCompletionSource _closing = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>
    /// Memory of every rank, in rank order; also while steps run: ranks answer between two of them. Thread-safe. Throws
    /// <see cref="WorkerLostException"/> when a rank is lost or does not answer in time.
    /// </summary>
    /// <param name="resetPeaks">First collect garbage, give free memory back to the system, and count peaks anew.</param>
    public async Task<IReadOnlyList<RankMemoryState>> MemoryAsync(bool resetPeaks)
    {
        var command = new WorkerCommand { ReportMemory = new ReportMemory { ResetPeaks = resetPeaks } };
        var reports = await AskAsync(_ranks, rank => rank.ReportMemoryAsync(command), "has not reported its memory");
        return [.. _ranks.Zip(reports, StateOf)];
    }

    /// <summary>
    /// Takes weights and KV cache of all ranks off their devices. The caller sees to it that no sequence runs and no step is sent until
    /// <see cref="RestoreAsync"/> has returned. Thread-safe; throws as <see cref="MemoryAsync"/> does.
    /// </summary>
    public Task<MoveSummary> EvictAsync() => MoveAsync(new WorkerCommand { Evict = new Evict() }, "has not evicted its part of the model");

    /// <summary>Undoes <see cref="EvictAsync"/>.</summary>
    public Task<MoveSummary> RestoreAsync() =>
        MoveAsync(new WorkerCommand { Restore = new Restore() }, "has not restored its part of the model");

    private async Task<MoveSummary> MoveAsync(WorkerCommand command, string silence)
    {
        var started = TimeProvider.System.GetTimestamp();
        var moved = await AskAsync(_ranks, rank => rank.MoveAsync(command), silence);
        return new MoveSummary(
            moved.Sum(rank => rank.DeviceBytes),
            moved.Sum(rank => rank.CopiedBytes),
            moved.Sum(rank => rank.Pinned),
            TimeProvider.System.GetElapsedTime(started));
    }

    // One question at a time, whichever it is: answers carry no number. A worker answers after the steps that lie before it, each of which
    // may take its time, and a move of tens of gigabytes takes its own.
    private async Task<IReadOnlyList<T>> AskAsync<T>(IReadOnlyList<WorkerRank> asked, Func<WorkerRank, Task<T>> ask, string silence)
    {
        await _asking.WaitAsync();
        using var answered = new CancellationTokenSource();
        var limit = _options.StepTimeout * MostStepsAhead;
        try
        {
            ObjectDisposedException.ThrowIf(_closing.Task.IsCompleted, this);
            var answers = asked.Select(ask).ToList();
            var all = Task.WhenAll(answers);
            var first = await Task.WhenAny(all, _loss.Lost, _closing.Task, Task.Delay(limit, answered.Token));
            ObjectDisposedException.ThrowIf(first == _closing.Task, this);
            if (first != all && !_loss.Lost.IsCompleted)
            {
                var silent = asked[answers.FindIndex(answer => !answer.IsCompleted) is var index and >= 0 ? index : 0];
                silent.Lose($"{silence} within {limit.TotalSeconds:0.#} s");
            }

            return all.IsCompletedSuccessfully ? all.Result : throw await _loss.Lost;
        }
        finally
        {
            await answered.CancelAsync();
            _asking.Release();
        }
    }

    private static RankMemoryState StateOf(WorkerRank rank, MemoryReport report) => new(
        rank.Rank,
        rank.Device,
        [.. report.Memory.Select(use => new RankMemory(use.Purpose, use.Current, use.Peak))],
        report.DeviceTotal,
        report.DeviceFree,
        report.Pinned,
        report.Resident,
        report.PeakResident,
        report.Evicted);
}
