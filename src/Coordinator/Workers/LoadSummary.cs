namespace TensorParallel.Coordinator.Workers;

/// <summary>What it took to make a group ready.</summary>
/// <param name="Elapsed">From the start of the first process until the last rank was ready.</param>
/// <param name="Ranks">One entry a rank, in rank order.</param>
internal sealed record LoadSummary(TimeSpan Elapsed, IReadOnlyList<RankLoadSummary> Ranks)
{
    /// <summary>Of <see cref="Elapsed"/>: until the last process had connected.</summary>
    public TimeSpan Processes { get; init; }

    /// <summary>Weight bytes read by all ranks.</summary>
    public long BytesRead => Ranks.Sum(rank => rank.BytesRead);

    /// <summary>All bytes over the time of the slowest rank's loading (process start and joining left out).</summary>
    public double GigabytesPerSecond
    {
        get
        {
            var slowest = Ranks.Max(rank => rank.Elapsed).TotalSeconds;
            return slowest > 0 ? BytesRead / 1e9 / slowest : 0;
        }
    }
}
