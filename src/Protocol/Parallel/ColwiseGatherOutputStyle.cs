namespace TensorParallel.Protocol.Parallel;

/// <summary>
/// As colwise, and the ranks join their columns, so that every rank goes on with whole rows. Where the next module can
/// take cut rows (the sampler, after the output head), the join may be left out.
/// </summary>
internal sealed class ColwiseGatherOutputStyle : TpStyle
{
    public override string Name => "colwise_gather_output";

    public override IReadOnlyList<string> Aliases => ["colwise_rep"];

    public override TpTargets Targets => TpTargets.Linear;

    public override int? WeightDim => 0;

    public override ActivationLayout InputLayout => ActivationLayout.Replicated;

    public override ActivationLayout LocalOutputLayout => ActivationLayout.Sharded;

    public override ActivationLayout OutputLayout => ActivationLayout.Replicated;
}
