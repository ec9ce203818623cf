namespace TensorParallel.Protocol.Parallel;

/// <summary>
/// As rowwise, but fed with whole rows, of which each rank takes its own columns.
/// </summary>
internal sealed class RowwiseSplitInputStyle : TpStyle
{
    public override string Name => "rowwise_split_input";

    public override IReadOnlyList<string> Aliases => ["rowwise_rep"];

    public override TpTargets Targets => TpTargets.Linear;

    public override int? WeightDim => 1;

    public override ActivationLayout InputLayout => ActivationLayout.Replicated;

    public override ActivationLayout LocalOutputLayout => ActivationLayout.Partial;

    public override ActivationLayout OutputLayout => ActivationLayout.Replicated;
}
