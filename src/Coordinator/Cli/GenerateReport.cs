using System.Text.Json.Nodes;
using System.Text.Json.Serialization;
using TensorParallel.Coordinator.Benchmarking;
using TensorParallel.Protocol.Generation;

namespace TensorParallel.Coordinator.Cli;

/// <summary>What <c>generate --json</c> prints: one object.</summary>
internal sealed record GenerateReport
{
    /// <summary>Prompt token ids, special tokens included.</summary>
    [JsonPropertyName("prompt_ids")]
    public required IReadOnlyList<int> PromptIds { get; init; }

    /// <summary>Generated token ids.</summary>
    [JsonPropertyName("token_ids")]
    public required IReadOnlyList<int> TokenIds { get; init; }

    /// <summary>Generated text; null without a tokenizer.</summary>
    [JsonPropertyName("text")]
    public required string? Text { get; init; }

    /// <summary><c>stop</c> or <c>length</c>.</summary>
    [JsonPropertyName("finish_reason")]
    public required string FinishReason { get; init; }

    /// <summary>Seed of the noise; null when greedy.</summary>
    [JsonPropertyName("seed")]
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public ulong? Seed { get; init; }

    /// <summary>The plan, with the names of <c>plan --json</c>.</summary>
    [JsonPropertyName("plan")]
    public required JsonNode Plan { get; init; }

    /// <summary>What it took.</summary>
    [JsonPropertyName("timings")]
    public required GenerateReportTimings Timings { get; init; }

    /// <summary>From the start of this process to the first token.</summary>
    [JsonPropertyName("start")]
    public required StartReport Start { get; init; }

    /// <summary>Device memory of each rank, beside what was planned.</summary>
    [JsonPropertyName("memory")]
    public required IReadOnlyList<RankMemoryReport> Memory { get; init; }

    /// <summary>One entry a generated token; absent unless asked for.</summary>
    [JsonPropertyName("logprobs")]
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyList<GenerateReportLogProbs>? LogProbs { get; init; }

    /// <summary>The word the JSON uses for a reason.</summary>
    public static string Word(FinishReason reason) => reason == Protocol.Generation.FinishReason.Stop ? "stop" : "length";
}
