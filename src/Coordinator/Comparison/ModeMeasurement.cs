using System.Text.Json.Serialization;

namespace TensorParallel.Coordinator.Comparison;

/// <summary>What one way of spreading the model took for all prompts; medians where there are several.</summary>
/// <param name="Mode"><c>tensor_parallel</c> or <c>device_map</c>.</param>
/// <param name="WorldSize">Number of workers.</param>
/// <param name="LoadSeconds">From starting the processes to all being loaded and joined.</param>
/// <param name="TimeToFirstTokenMs">Median over prompts and repetitions, milliseconds.</param>
/// <param name="DecodeTokensPerSecond">Median over prompts and repetitions.</param>
/// <param name="PeakMemoryBytes">Most resident memory of each worker process, in rank order.</param>
/// <param name="TokenIds">Generated ids of each prompt.</param>
internal sealed record ModeMeasurement(
    [property: JsonPropertyName("mode")] string Mode,
    [property: JsonPropertyName("world_size")] int WorldSize,
    [property: JsonPropertyName("load_s")] double LoadSeconds,
    [property: JsonPropertyName("ttft_ms")] double TimeToFirstTokenMs,
    [property: JsonPropertyName("decode_tokens_per_s")] double DecodeTokensPerSecond,
    [property: JsonPropertyName("peak_memory_bytes")] IReadOnlyList<long> PeakMemoryBytes,
    [property: JsonPropertyName("token_ids")] IReadOnlyList<IReadOnlyList<int>> TokenIds);
