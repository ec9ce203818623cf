namespace TensorParallel.Protocol.Generation;

/// <summary>
/// Log-probability of one token id under the model's own distribution (before penalties and temperature).
/// </summary>
/// <param name="TokenId">The token.</param>
/// <param name="LogProb">Natural logarithm.</param>
public readonly record struct TokenLogProb(int TokenId, float LogProb);
