namespace TensorParallel.Protocol.Architectures;

/// <summary>
/// Rotary position embedding as numbers: pair i of a head (dimensions i and i + RotaryDim/2) is rotated at position p
/// by the angle <c>p · InverseFrequencies[i]</c>; cos and sin are multiplied by <see cref="AttentionFactor"/>.
/// </summary>
/// <param name="Type">
/// Hugging Face's <c>rope_type</c>: for display only, the numbers below already hold its effect.
/// </param>
/// <param name="RotaryDim">How many leading dimensions of a head rotate; even.</param>
/// <param name="InverseFrequencies">
/// RotaryDim/2 angles per position step, radians, rounded to float where Hugging Face rounds; so is the product with
/// the position.
/// </param>
/// <param name="AttentionFactor">1 for most types; YaRN scales cos and sin.</param>
public sealed record RopeSpec(
    string Type, int RotaryDim, IReadOnlyList<float> InverseFrequencies, float AttentionFactor);
