namespace TensorParallel.Protocol.Generation;

/// <summary>A token drawn in a step.</summary>
/// <param name="Slot">Slot of its sequence.</param>
/// <param name="TokenId">The token drawn.</param>
/// <param name="LogProb">Its log-probability; null unless log-probabilities were asked for.</param>
/// <param name="TopLogProbs">The best tokens, best first; empty unless asked for.</param>
public sealed record SampledToken(int Slot, int TokenId, float? LogProb, IReadOnlyList<TokenLogProb> TopLogProbs);
