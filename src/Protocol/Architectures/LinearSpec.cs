namespace TensorParallel.Protocol.Architectures;

/// <summary>
/// One linear layer <c>y = x Wᵀ + b</c> as the checkpoint names it; <c>W</c> is <c>[OutFeatures, InFeatures]</c>,
/// row-major.
/// </summary>
/// <param name="Name">Module path, for example <c>model.layers.3.self_attn.q_proj</c>.</param>
/// <param name="InFeatures">Full (uncut) number of input columns.</param>
/// <param name="OutFeatures">Full (uncut) number of output rows.</param>
/// <param name="HasBias">Whether <c>{Name}.bias</c> of <c>[OutFeatures]</c> exists.</param>
public sealed record LinearSpec(string Name, int InFeatures, int OutFeatures, bool HasBias)
{
    /// <summary>
    /// Equal parts that the checkpoint stacks along the output rows: 2 for a fused gate‖up, 1 otherwise. Each is cut on
    /// its own.
    /// </summary>
    public int PackedParts { get; init; } = 1;

    /// <summary>Name of the weight tensor in the checkpoint.</summary>
    public string WeightName => Name + ".weight";

    /// <summary>Name of the bias tensor in the checkpoint, whether or not it exists.</summary>
    public string BiasName => Name + ".bias";
}
