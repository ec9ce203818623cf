namespace TensorParallel.Protocol.Generation;

/// <summary>Times of one generation.</summary>
/// <param name="PromptTokens">Tokens of the prompt.</param>
/// <param name="GeneratedTokens">Tokens generated.</param>
/// <param name="TimeToFirstToken">From submission to the first token.</param>
/// <param name="DecodeTokensPerSecond">
/// (GeneratedTokens − 1) over the time from the first to the last token; 0 for one token.
/// </param>
public sealed record GenerateTimings(
    int PromptTokens, int GeneratedTokens, TimeSpan TimeToFirstToken, double DecodeTokensPerSecond);
