using System.Text.Json.Serialization;

namespace TensorParallel.Coordinator.Planning.Estimates;

/// <summary>Weights in one format.</summary>
/// <param name="Format">For people.</param>
/// <param name="Bytes">Values and scales.</param>
internal sealed record FormatBytes(
    [property: JsonPropertyName("format")] string Format,
    [property: JsonPropertyName("bytes")] long Bytes);
