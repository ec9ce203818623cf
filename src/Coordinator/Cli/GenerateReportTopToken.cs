using System.Text.Json.Serialization;

namespace TensorParallel.Coordinator.Cli;

/// <summary>One of the best tokens at a position.</summary>
/// <param name="TokenId">The token.</param>
/// <param name="LogProb">Its natural log-probability.</param>
internal sealed record GenerateReportTopToken(
    [property: JsonPropertyName("token_id")] int TokenId,
    [property: JsonPropertyName("logprob")] float LogProb);
