using System.Text.Json.Serialization;

namespace TensorParallel.Coordinator.Benchmarking;

/// <summary>A part of the way to the first token.</summary>
/// <param name="Name">What was done.</param>
/// <param name="Milliseconds">Time it took.</param>
internal sealed record PartReport(string Name, [property: JsonPropertyName("ms")] double Milliseconds);
