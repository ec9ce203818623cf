namespace TensorParallel.Protocol.Generation;

/// <summary>
/// Bounds of <see cref="SamplingParameters"/> that both sides must agree on: what the coordinator lets through has its
/// place in the workers' buffers, and can be computed in float32 without an overflow.
/// </summary>
public static class SamplingLimits
{
    /// <summary>Most log-probabilities of one token.</summary>
    public const int MaxLogProbs = 20;

    /// <summary>Most end-of-sequence ids of one sequence.</summary>
    public const int MaxEosTokenIds = 32;

    /// <summary>
    /// Least repetition penalty, and one over the largest. Far outside of what makes sense (0.8 … 2); 1e-40 would turn
    /// a logit of 1 into infinity.
    /// </summary>
    public const float MinRepetitionPenalty = 0.01f;

    /// <summary>Largest repetition penalty.</summary>
    public const float MaxRepetitionPenalty = 100f;

    /// <summary>
    /// Largest presence or frequency penalty, of either sign. A frequency penalty counts once an occurrence: 1e38 would
    /// be infinite at the fourth.
    /// </summary>
    public const float MaxPenalty = 100f;
}
