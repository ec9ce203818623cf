using System.Text.Json.Serialization;

namespace TensorParallel.Coordinator.Cli;

/// <summary>One part of a start.</summary>
/// <param name="Name">What was done.</param>
/// <param name="AtSeconds">When it began, since the start of the coordinator's process.</param>
/// <param name="Seconds">How long it took; of several workers: from the first one's beginning to the last one's end.</param>
internal sealed record StartReportPart(
    [property: JsonPropertyName("name")] string Name,
    [property: JsonPropertyName("at_s")] double AtSeconds,
    [property: JsonPropertyName("s")] double Seconds);
