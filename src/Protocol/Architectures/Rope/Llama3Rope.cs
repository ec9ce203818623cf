namespace TensorParallel.Protocol.Architectures.Rope;

/// <summary>
/// Llama 3.1's scaling by wavelength. With original length 8192, low 1, high 4: waves shorter than 2048 positions stay,
/// waves longer than 8192 are stretched by <c>factor</c>, those between are blended.
/// </summary>
internal sealed class Llama3Rope : IRopeType
{
    public string Name => "llama3";

    public RopeSpec Compute(RopeParameters parameters)
    {
        var section = parameters.Section;
        var factor = (float)section.PositiveDouble("factor");
        var low = (float)section.PositiveDouble("low_freq_factor");
        var high = (float)section.PositiveDouble("high_freq_factor");
        var original = (float)parameters.OriginalMaxPositionEmbeddings;
        if (high <= low)
        {
            throw parameters.Wrong(
                $"high_freq_factor {RopeParameters.Text(high)} must be above low_freq_factor " +
                $"{RopeParameters.Text(low)}.");
        }

        return new(Name, parameters.RotaryDim, [.. parameters.DefaultFrequencies().Select(Scale)], AttentionFactor: 1);

        float Scale(float frequency)
        {
            var wavelength = (float)(2 * Math.PI) / frequency;
            if (wavelength > original / low)
            {
                return frequency / factor;
            }

            if (wavelength < original / high)
            {
                return frequency;
            }

            var smooth = ((original / wavelength) - low) / (high - low);
            return ((1 - smooth) * frequency / factor) + (smooth * frequency);
        }
    }
}
