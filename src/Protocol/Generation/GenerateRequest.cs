namespace TensorParallel.Protocol.Generation;

/// <summary>One generation, tokenised and with its defaults filled in.</summary>
/// <param name="PromptIds">Prompt token ids, at least one.</param>
/// <param name="MaxNewTokens">Most tokens to generate, at least 1.</param>
/// <param name="Sampling">
/// How tokens are chosen; its EosTokenIds end the sequence (and are part of the output ids).
/// </param>
/// <param name="StopStrings">Texts that end the sequence; the text from the stop string on is dropped.</param>
public sealed record GenerateRequest(
    IReadOnlyList<int> PromptIds, int MaxNewTokens, SamplingParameters Sampling, IReadOnlyList<string> StopStrings);
