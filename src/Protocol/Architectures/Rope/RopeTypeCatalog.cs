using TensorParallel.Protocol.Checkpoints;

namespace TensorParallel.Protocol.Architectures.Rope;

/// <summary>The rotary scalings that are known.</summary>
internal static class RopeTypeCatalog
{
    /// <summary>One entry a file of this folder.</summary>
    public static IReadOnlyList<IRopeType> All { get; } =
        [new DefaultRope(), new LinearRope(), new DynamicRope(), new YarnRope(), new Llama3Rope()];

    /// <summary>Reads and computes the rotation that a configuration asks for.</summary>
    /// <exception cref="CheckpointException">An unknown type, or parameters that make no sense.</exception>
    public static RopeSpec Read(ModelConfig config, int headDim, int maxPositionEmbeddings)
    {
        var parameters = new RopeParameters(config, headDim, maxPositionEmbeddings);
        var type = All.FirstOrDefault(t => t.Name == parameters.Type)
            ?? throw parameters.Wrong($"not known here; known are: {string.Join(", ", All.Select(t => t.Name))}.");
        var rope = type.Compute(parameters);
        return rope.InverseFrequencies.All(f => float.IsFinite(f) && f > 0) && float.IsFinite(rope.AttentionFactor)
            ? rope
            : throw parameters.Wrong("its parameters lead to frequencies that are not finite and above 0.");
    }
}
