namespace TensorParallel.Protocol.Parallel;

/// <summary>
/// Held whole by every rank, which computes it alike: norms, and whatever no key of a plan names. The alias is the
/// training-time name: it differs in gradients only.
/// </summary>
internal sealed class ReplicateStyle : TpStyle
{
    public const string StyleName = "replicate";

    public override string Name => StyleName;

    public override IReadOnlyList<string> Aliases => ["replicated_with_grad_allreduce"];

    public override TpTargets Targets => TpTargets.Any;

    public override int? WeightDim => null;

    public override ActivationLayout InputLayout => ActivationLayout.Replicated;

    public override ActivationLayout LocalOutputLayout => ActivationLayout.Replicated;

    public override ActivationLayout OutputLayout => ActivationLayout.Replicated;
}
