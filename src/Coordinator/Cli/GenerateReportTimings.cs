using System.Text.Json.Serialization;

namespace TensorParallel.Coordinator.Cli;

/// <summary>Times of one run of <c>generate</c>.</summary>
/// <param name="LoadSeconds">From starting the workers to all being loaded and joined.</param>
/// <param name="LoadGigabytesPerSecond">Weight bytes of all workers over the time in which any of them read.</param>
/// <param name="TimeToFirstTokenMs">From submission to the first token, in milliseconds.</param>
/// <param name="DecodeTokensPerSecond">Rate after the first token; 0 for one token.</param>
internal sealed record GenerateReportTimings(
    [property: JsonPropertyName("load_s")] double LoadSeconds,
    [property: JsonPropertyName("load_gb_s")] double LoadGigabytesPerSecond,
    [property: JsonPropertyName("ttft_ms")] double TimeToFirstTokenMs,
    [property: JsonPropertyName("decode_tokens_per_s")] double DecodeTokensPerSecond);
