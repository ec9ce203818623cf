namespace TensorParallel.Coordinator.Workers;

/// <summary>Waits for the stages of a start. A rank that is silent for too long is reported as lost.</summary>
/// <param name="loss">Ends every wait.</param>
/// <param name="cancellationToken">Ends every wait too.</param>
internal sealed class StageWait(GroupLoss loss, CancellationToken cancellationToken)
{
    /// <summary>
    /// Waits until every rank has got there. Throws <see cref="WorkerLostException"/> when a rank is lost, this one or
    /// another.
    /// </summary>
    /// <param name="ranks">The ranks.</param>
    /// <param name="stage">What is waited for.</param>
    /// <param name="silence">Longest time without a sign of a rank that is not there yet.</param>
    /// <param name="failure">What to say of such a rank, for example "has not connected".</param>
    public async Task<T[]> AllAsync<T>(
        IReadOnlyList<WorkerRank> ranks, Func<WorkerRank, Task<T>> stage, TimeSpan silence, string failure)
    {
        var all = Task.WhenAll(ranks.Select(stage));
        var ticks = Math.Clamp(silence.Ticks / 4, TimeSpan.TicksPerMillisecond, TimeSpan.TicksPerSecond);
        while (!all.IsCompleted)
        {
            await Task.WhenAny(all, loss.Lost, Task.Delay(TimeSpan.FromTicks(ticks), cancellationToken));
            cancellationToken.ThrowIfCancellationRequested();
            if (loss.Lost.IsCompleted)
            {
                throw loss.Lost.Result;
            }

            var silent = ranks.FirstOrDefault(rank => !stage(rank).IsCompleted && rank.Silence > silence);
            silent?.Lose($"{failure} for {silence.TotalSeconds:0.#} s");
        }

        return await all;
    }
}
