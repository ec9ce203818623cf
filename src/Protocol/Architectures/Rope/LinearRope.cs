namespace TensorParallel.Protocol.Architectures.Rope;

/// <summary>
/// Position interpolation: every frequency divided by <c>factor</c>, so position 4000 turns as 1000 did at factor 4.
/// </summary>
internal sealed class LinearRope : IRopeType
{
    public string Name => "linear";

    public RopeSpec Compute(RopeParameters parameters)
    {
        var factor = (float)parameters.Section.PositiveDouble("factor");
        var frequencies = parameters.DefaultFrequencies().Select(frequency => frequency / factor);
        return new(Name, parameters.RotaryDim, [.. frequencies], AttentionFactor: 1);
    }
}
