namespace TensorParallel.Protocol.Architectures;

/// <summary>RMS normalisation over the last dimension: <c>x / sqrt(mean(x²) + Epsilon) · weight</c>.</summary>
/// <param name="Name">Module path; the tensor is <c>{Name}.weight</c> of <c>[Size]</c>.</param>
/// <param name="Size">Length of the normalised dimension.</param>
/// <param name="Epsilon">Added to the mean square.</param>
public sealed record NormSpec(string Name, int Size, float Epsilon)
{
    /// <summary>Name of the weight tensor in the checkpoint.</summary>
    public string WeightName => Name + ".weight";
}
