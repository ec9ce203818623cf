using TensorParallel.Worker.Devices;

namespace TensorParallel.Worker.Modules;

/// <summary>
/// One pre-norm decoder block. What the block before left in Delta is added on the way into the first norm.
/// </summary>
/// <param name="place">Where its weights lie.</param>
/// <param name="stream">Adds up the residual stream.</param>
/// <param name="inputNorm">Before attention.</param>
/// <param name="attention">The attention.</param>
/// <param name="postAttentionNorm">Before the MLP.</param>
/// <param name="mlp">The MLP.</param>
internal sealed class DecoderBlock(
    IWeightPlace place, ResidualStream stream, Norm inputNorm, AttentionModule attention, Norm postAttentionNorm, GatedMlp mlp)
{
    /// <summary>What the block leaves in Delta.</summary>
    public PendingDelta Leaves => mlp.Leaves;

    /// <summary>Its products.</summary>
    public IEnumerable<ParallelLinear> Linears => attention.Linears.Concat(mlp.Linears);

    /// <summary>Hidden + Delta → attention → MLP; the MLP's output is left in Delta.</summary>
    /// <param name="hidden">[T, HiddenSize]: the residual stream.</param>
    /// <param name="normed">[T, HiddenSize]: overwritten.</param>
    /// <param name="a">Everything else.</param>
    /// <param name="pending">What the block before left in Delta; nothing on a rank's first block.</param>
    public void Forward(Tensor hidden, Tensor normed, BlockActivations a, PendingDelta pending)
    {
        place.Enter(hidden.Rows);
        stream.Normalize(hidden, a.Delta, pending, inputNorm, normed);
        attention.Forward(normed, a);
        stream.Normalize(hidden, a.Delta, attention.Leaves, postAttentionNorm, normed);
        mlp.Forward(normed, a);
        place.Leave();
    }
}
