using System.Text.Json.Serialization;

namespace TensorParallel.Coordinator.Planning.Estimates;

/// <summary>The KV cache of some sequences, on all devices together.</summary>
/// <param name="ContextTokens">Length of each.</param>
/// <param name="Batch">Number of sequences.</param>
/// <param name="Bytes">In whole KV blocks.</param>
internal sealed record CacheBytes(
    [property: JsonPropertyName("context")] int ContextTokens,
    [property: JsonPropertyName("batch")] int Batch,
    [property: JsonPropertyName("bytes")] long Bytes);
