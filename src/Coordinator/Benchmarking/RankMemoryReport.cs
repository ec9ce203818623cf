using System.Text.Json.Serialization;
using TensorParallel.Coordinator.Workers;
using TensorParallel.Protocol.Parallel;

namespace TensorParallel.Coordinator.Benchmarking;

/// <summary>Device memory of one rank after its first step, beside what the plan counts.</summary>
/// <param name="Rank">The rank.</param>
/// <param name="Device">Its device.</param>
/// <param name="Bytes">Bytes that its worker has allocated, by purpose.</param>
internal sealed record RankMemoryReport(
    [property: JsonPropertyName("rank")] int Rank,
    [property: JsonPropertyName("device")] string Device,
    [property: JsonPropertyName("bytes")] IReadOnlyDictionary<string, long> Bytes)
{
    private const string FreeFigure = "free";

    /// <summary>What the plan counts.</summary>
    [JsonPropertyName("planned_bytes")]
    public PlannedBytes? PlannedBytes { get; init; }

    /// <summary>Most memory of the host that its process has had resident.</summary>
    [JsonPropertyName("peak_resident_bytes")]
    public long PeakResidentBytes { get; init; }

    /// <summary>Free on the device before the worker's process opened it, as NVML tells; null: not known.</summary>
    [JsonPropertyName("free_before_bytes")]
    public long? FreeBeforeBytes { get; init; }

    /// <summary>Free on the device after the first step, as the driver tells; null: not known.</summary>
    [JsonPropertyName("free_after_bytes")]
    public long? FreeAfterBytes { get; init; }

    /// <summary>What the device has less since: all that the worker takes, where nothing else began or ended on it.</summary>
    [JsonPropertyName("used_bytes")]
    public long? UsedBytes => FreeBeforeBytes - FreeAfterBytes;

    /// <summary>By how much more than planned is used, in percent; negative: less. Planned 20.0, used 20.5 GB: 2.5.</summary>
    [JsonPropertyName("deviation_percent")]
    public double? DeviationPercent => UsedBytes is { } used && PlannedBytes is { Total: > 0 } planned
        ? Math.Round(100.0 * (used - planned.Total) / planned.Total, 2)
        : null;

    /// <summary>Asks a group that has run a step.</summary>
    /// <param name="group">The group; no step runs.</param>
    /// <param name="plan">Its plan.</param>
    /// <param name="freeBefore">Bytes that were free on each device before, by its name.</param>
    public static async Task<IReadOnlyList<RankMemoryReport>> OfAsync(
        WorkerGroup group, ExecutionPlan plan, IReadOnlyDictionary<string, long> freeBefore)
    {
        var figures = await group.MeasureAsync(MeasureKind.Memory);
        var resident = group.PeakResidentBytes;
        return
        [
            .. plan.Ranks.Select(rank => new RankMemoryReport(
                rank.Rank,
                rank.Device,
                figures[rank.Rank].Where(figure => figure.Name != FreeFigure).ToDictionary(figure => figure.Name, figure => figure.Bytes))
            {
                PlannedBytes = PlannedBytes.Of(rank),
                PeakResidentBytes = resident[rank.Rank],
                FreeBeforeBytes = freeBefore.TryGetValue(rank.Device, out var before) ? before : null,
                FreeAfterBytes = figures[rank.Rank].Where(figure => figure.Name == FreeFigure).Select(figure => (long?)figure.Bytes).FirstOrDefault(),
            }),
        ];
    }
}
