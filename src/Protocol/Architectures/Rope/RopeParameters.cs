using TensorParallel.Protocol.Checkpoints;

namespace TensorParallel.Protocol.Architectures.Rope;

/// <summary>
/// The rotary part of config.json in either spelling: <c>rope_parameters</c> (transformers 5) or <c>rope_theta</c>
/// beside <c>rope_scaling</c> (before), whose type may be called <c>rope_type</c> or <c>type</c>.
/// </summary>
internal sealed class RopeParameters
{
    private const double DefaultTheta = 10_000;

    private readonly ModelConfig _config;
    private readonly ModelConfig? _section;

    /// <summary>Reads what all types share.</summary>
    /// <exception cref="CheckpointException">
    /// A value is of the wrong kind, or only a part of the head is to rotate.
    /// </exception>
    public RopeParameters(ModelConfig config, int headDim, int maxPositionEmbeddings)
    {
        _config = config;
        _section = config.SectionOrNull("rope_parameters") ?? config.SectionOrNull("rope_scaling");
        RotaryDim = headDim;
        MaxPositionEmbeddings = maxPositionEmbeddings;
        Type = _section?.StringOrNull("rope_type") ?? _section?.StringOrNull("type") ?? "default";
        var theta = _section is not null && _section.Has("rope_theta") ? _section : config;
        Theta = theta.PositiveDoubleOr("rope_theta", DefaultTheta);
        var partial = _section?.DoubleOrNull("partial_rotary_factor") ?? config.DoubleOr("partial_rotary_factor", 1);
        if (partial != 1)
        {
            throw Wrong($"partial_rotary_factor {Text(partial)} is not supported: all dimensions of a head rotate " +
                "here.");
        }
    }

    /// <summary><c>rope_type</c>.</summary>
    public string Type { get; }

    /// <summary><c>rope_theta</c>, the base.</summary>
    public double Theta { get; }

    /// <summary>Dimensions of a head that rotate.</summary>
    public int RotaryDim { get; }

    /// <summary>Longest context of the model.</summary>
    public int MaxPositionEmbeddings { get; }

    /// <summary>
    /// Context of the first training; as in transformers 5 it may stand beside the section, and is the model's longest
    /// context where it stands nowhere.
    /// </summary>
    public int OriginalMaxPositionEmbeddings =>
        _section is not null && _section.Has("original_max_position_embeddings")
            ? _section.PositiveInt("original_max_position_embeddings")
            : _config.PositiveIntOr("original_max_position_embeddings", MaxPositionEmbeddings);

    /// <summary>The scaling's own keys.</summary>
    /// <exception cref="CheckpointException">There is no such section, so a scaling type cannot stand here.</exception>
    public ModelConfig Section => _section ?? throw Wrong("rope_parameters are missing.");

    /// <summary>θ^(−2i / RotaryDim) for each pair i: 1, …, about 1/θ.</summary>
    public float[] DefaultFrequencies() => [.. Powers().Select(power => 1f / power)];

    /// <summary>
    /// θ^(2i / RotaryDim), the power in double, exponent and result rounded to float as torch has them.
    /// </summary>
    public float[] Powers() => [.. Enumerable.Range(0, RotaryDim / 2)
        .Select(i => (float)Math.Pow(Theta, (float)(2 * i) / RotaryDim))];

    /// <summary>A sentence about this configuration's rotary part.</summary>
    public CheckpointException Wrong(string sentence) => new($"{_config.Path}: rope_type {Quote.Of(Type)}: {sentence}");

    internal static string Text(double value) => value.ToString(System.Globalization.CultureInfo.InvariantCulture);
}
