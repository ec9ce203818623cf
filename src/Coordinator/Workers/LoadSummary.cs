using System.Globalization;

namespace TensorParallel.Coordinator.Workers;

/// <summary>What it took to make a group ready.</summary>
/// <param name="Elapsed">From the start of the first process until the last rank was ready.</param>
/// <param name="Ranks">One entry a rank, in rank order.</param>
internal sealed record LoadSummary(TimeSpan Elapsed, IReadOnlyList<RankLoadSummary> Ranks)
{
    private const string WeightsPart = "weights";

    /// <summary>When the first process was started, by the host's monotonic clock.</summary>
    public TimeSpan Began { get; init; }

    /// <summary>Of <see cref="Elapsed"/>: until the last process had connected.</summary>
    public TimeSpan Processes { get; init; }

    /// <summary>Weight bytes read by all ranks.</summary>
    public long BytesRead => Ranks.Sum(rank => rank.BytesRead);

    /// <summary>
    /// All bytes over the time from the first rank's first read until the last rank's last byte was on its device; process start and
    /// joining are left out. Example: 8 GB each on two ranks, read from 1.0 to 1.5 s and from 1.1 to 1.6 s: 26.7 GB/s.
    /// </summary>
    public double GigabytesPerSecond
    {
        get
        {
            var reading = Ranks.SelectMany(rank => rank.Parts).Where(part => part.Name == WeightsPart).ToList();
            var seconds = reading.Count == 0
                ? Ranks.Max(rank => rank.Elapsed).TotalSeconds
                : (reading.Max(part => part.Began + part.Duration) - reading.Min(part => part.Began)).TotalSeconds;
            return seconds > 0 ? BytesRead / 1e9 / seconds : 0;
        }
    }

    /// <summary>
    /// Parts of the start by name, in the order in which they began: from the first rank's beginning, which is told since the start of
    /// the first process, to the last rank's end.
    /// </summary>
    public IReadOnlyList<StartPartSummary> Parts =>
    [
        .. Ranks.SelectMany(rank => rank.Parts)
            .GroupBy(part => part.Name)
            .Select(group => (group.Key, First: group.Min(p => p.Began), Last: group.Max(p => p.Began + p.Duration)))
            .OrderBy(part => part.First)
            .Select(part => new StartPartSummary(part.Key, part.First - Began, part.Last - part.First)),
    ];

    /// <summary>The parts in a line: <c>process 0.18 s at 0.00, driver 1.20 s at 0.12</c>.</summary>
    public string PartsText() => string.Join(", ", Parts.Select(part => string.Create(
        CultureInfo.InvariantCulture, $"{part.Name} {part.Duration.TotalSeconds:F2} s at {part.Began.TotalSeconds:F2}")));
}
