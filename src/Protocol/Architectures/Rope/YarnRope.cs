namespace TensorParallel.Protocol.Architectures.Rope;

/// <summary>
/// YaRN: pairs that turn more than <c>beta_fast</c> times over the original context keep their frequency, pairs that
/// turn less than <c>beta_slow</c> times are divided by <c>factor</c>, a linear ramp over the pairs' numbers joins
/// them; cos and sin grow by an attention factor, 0.1·ln(factor) + 1 unless given. Factor 4: 1.1386.
/// </summary>
internal sealed class YarnRope : IRopeType
{
    public string Name => "yarn";

    public RopeSpec Compute(RopeParameters parameters)
    {
        var section = parameters.Section;
        var original = parameters.OriginalMaxPositionEmbeddings;
        var factor = section.PositiveDoubleOr("factor", (double)parameters.MaxPositionEmbeddings / original);
        if (parameters.Theta == 1)
        {
            throw parameters.Wrong("rope_theta 1 has no logarithm to divide by.");
        }

        var (low, high) = Ramp(parameters, original);
        var powers = parameters.Powers();
        return new(
            Name,
            parameters.RotaryDim,
            [.. powers.Select((power, pair) => Blend(power, pair))],
            (float)(section.DoubleOrNull("attention_factor") ?? AttentionFactor(parameters, factor)));

        float Blend(float power, int pair)
        {
            var ramp = Math.Clamp((float)(pair - low) / (float)(high - low), 0f, 1f);
            var extrapolated = 1 - ramp;
            return (1f / ((float)factor * power) * (1 - extrapolated)) + (1f / power * extrapolated);
        }
    }

    // Pairs between which the frequencies go over from kept to divided.
    private static (double Low, double High) Ramp(RopeParameters parameters, int original)
    {
        var low = Pair(NonZero(parameters, "beta_fast", 32));
        var high = Pair(NonZero(parameters, "beta_slow", 1));
        if (parameters.Section.BoolOr("truncate", true))
        {
            low = Math.Floor(low);
            high = Math.Ceiling(high);
        }

        low = Math.Max(low, 0);
        high = Math.Min(high, parameters.RotaryDim - 1);
        return low == high ? (low, high + 0.001) : (low, high);

        // The pair (a real number) that turns this often over the original context.
        double Pair(double rotations) =>
            parameters.RotaryDim * Math.Log(original / (rotations * 2 * Math.PI)) / (2 * Math.Log(parameters.Theta));
    }

    private static double AttentionFactor(RopeParameters parameters, double factor)
    {
        var mscale = parameters.Section.DoubleOr("mscale", 0);
        var mscaleAllDim = parameters.Section.DoubleOr("mscale_all_dim", 0);
        return mscale != 0 && mscaleAllDim != 0 ? Scale(mscale) / Scale(mscaleAllDim) : Scale(1);

        double Scale(double m) => factor <= 1 ? 1 : (0.1 * m * Math.Log(factor)) + 1;
    }

    // transformers takes a written 0 for "not given".
    private static double NonZero(RopeParameters parameters, string key, double defaultValue) =>
        parameters.Section.DoubleOr(key, 0) is var value && value != 0
            ? parameters.Section.PositiveDouble(key)
            : defaultValue;
}
