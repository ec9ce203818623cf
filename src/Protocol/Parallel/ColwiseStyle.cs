namespace TensorParallel.Protocol.Parallel;

/// <summary>
/// Output rows of the weight (and the bias) are cut; the output stays cut: no collective. Example: q_proj [512, 64], 8
/// heads of 64, 3 ranks, rank 1: rows 192 … 383.
/// </summary>
internal sealed class ColwiseStyle : TpStyle
{
    public override string Name => "colwise";

    public override TpTargets Targets => TpTargets.Linear;

    public override int? WeightDim => 0;

    public override ActivationLayout InputLayout => ActivationLayout.Replicated;

    public override ActivationLayout LocalOutputLayout => ActivationLayout.Sharded;

    public override ActivationLayout OutputLayout => ActivationLayout.Sharded;
}
