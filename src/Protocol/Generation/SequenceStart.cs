namespace TensorParallel.Protocol.Generation;

/// <summary>What a worker must know once about a sequence, sent with its first chunk.</summary>
/// <param name="PromptTokens">Length of the prompt; tokens at and after this position count as generated.</param>
/// <param name="Sampling">How its tokens are chosen.</param>
public sealed record SequenceStart(int PromptTokens, SamplingParameters Sampling);
