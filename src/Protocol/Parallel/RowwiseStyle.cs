namespace TensorParallel.Protocol.Parallel;

/// <summary>
/// Input columns of the weight are cut, the input comes cut alike, and the summands of all ranks are added. Example:
/// o_proj [64, 512], 3 ranks of 3, 3 and 2 heads of 64, rank 2: columns 384 … 511.
/// </summary>
internal sealed class RowwiseStyle : TpStyle
{
    public override string Name => "rowwise";

    public override TpTargets Targets => TpTargets.Linear;

    public override int? WeightDim => 1;

    public override ActivationLayout InputLayout => ActivationLayout.Sharded;

    public override ActivationLayout LocalOutputLayout => ActivationLayout.Partial;

    public override ActivationLayout OutputLayout => ActivationLayout.Replicated;
}
