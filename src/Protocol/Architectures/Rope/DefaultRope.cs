namespace TensorParallel.Protocol.Architectures.Rope;

/// <summary>
/// Plain rotary embedding: pair i turns by θ^(−2i/d) a position. Head size 64, θ 10,000: 1, 0.7499, …, 0.000133.
/// </summary>
internal sealed class DefaultRope : IRopeType
{
    public string Name => "default";

    public RopeSpec Compute(RopeParameters parameters) =>
        new(Name, parameters.RotaryDim, parameters.DefaultFrequencies(), AttentionFactor: 1);
}
