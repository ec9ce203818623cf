using System.Text.Json.Serialization;

namespace TensorParallel.Coordinator.Cli;

/// <summary>Log-probabilities at one generated token, under the model's own distribution.</summary>
/// <param name="TokenId">The generated token.</param>
/// <param name="LogProb">Its natural log-probability.</param>
/// <param name="Top">The best tokens, best first.</param>
internal sealed record GenerateReportLogProbs(
    [property: JsonPropertyName("token_id")] int TokenId,
    [property: JsonPropertyName("logprob")] float LogProb,
    [property: JsonPropertyName("top")] IReadOnlyList<GenerateReportTopToken> Top);
