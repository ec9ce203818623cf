namespace TensorParallel.Protocol.Parallel;

/// <summary>
/// The table is cut by vocabulary: a rank looks up the ids it holds, has zeros for the others, and the ranks add their
/// rows. One table then serves a tied output head, cut alike.
/// </summary>
internal sealed class EmbeddingRowwiseStyle : TpStyle
{
    public override string Name => "embedding_rowwise";

    public override TpTargets Targets => TpTargets.Embedding;

    public override int? WeightDim => 0;

    public override ActivationLayout InputLayout => ActivationLayout.Replicated;

    public override ActivationLayout LocalOutputLayout => ActivationLayout.Partial;

    public override ActivationLayout OutputLayout => ActivationLayout.Replicated;
}
