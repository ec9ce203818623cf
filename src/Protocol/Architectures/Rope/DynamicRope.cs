namespace TensorParallel.Protocol.Architectures.Rope;

/// <summary>
/// "NTK by parts of the current length": transformers changes θ only once a sequence is longer than
/// <c>max_position_embeddings</c>. A plan never allows a longer context, so within it this is exactly the default
/// rotation. A configuration whose scaling starts earlier is refused, because frequencies that change with the length
/// of one sequence would turn the cached keys of a batch differently.
/// </summary>
internal sealed class DynamicRope : IRopeType
{
    public string Name => "dynamic";

    public RopeSpec Compute(RopeParameters parameters)
    {
        _ = parameters.Section.PositiveDouble("factor");
        return parameters.OriginalMaxPositionEmbeddings >= parameters.MaxPositionEmbeddings
            ? new(Name, parameters.RotaryDim, parameters.DefaultFrequencies(), AttentionFactor: 1)
            : throw parameters.Wrong(
                "frequencies that depend on the current length are not supported; set max_position_embeddings " +
                $"{parameters.MaxPositionEmbeddings} to original_max_position_embeddings " +
                $"{parameters.OriginalMaxPositionEmbeddings} to run without them.");
    }
}
