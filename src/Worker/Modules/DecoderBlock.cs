using TensorParallel.Worker.Devices;

namespace TensorParallel.Worker.Modules;

/// <summary>
/// One pre-norm decoder block. What the block before left in Delta is added on the way into the first norm.
/// </summary>
/// <param name="context">Operations.</param>
/// <param name="inputNorm">Before attention.</param>
/// <param name="attention">The attention.</param>
/// <param name="postAttentionNorm">Before the MLP.</param>
/// <param name="mlp">The MLP.</param>
internal sealed class DecoderBlock(
    RankContext context, Norm inputNorm, AttentionModule attention, Norm postAttentionNorm, GatedMlp mlp)
{
    /// <summary>Hidden + Delta → attention → MLP; the MLP's output is left in Delta.</summary>
    /// <param name="hidden">[T, HiddenSize]: the residual stream.</param>
    /// <param name="normed">[T, HiddenSize]: overwritten.</param>
    /// <param name="a">Everything else.</param>
    /// <param name="hasDelta">False on a rank's first block: Hidden is complete and Delta holds nothing.</param>
    public void Forward(Tensor hidden, Tensor normed, BlockActivations a, bool hasDelta)
    {
        if (hasDelta)
        {
            context.Ops.AddRmsNorm(hidden, a.Delta, inputNorm.Weight, inputNorm.Epsilon, normed);
        }
        else
        {
            context.Ops.RmsNorm(hidden, inputNorm.Weight, inputNorm.Epsilon, normed);
        }

        attention.Forward(normed, a);
        context.Ops.AddRmsNorm(hidden, a.Delta, postAttentionNorm.Weight, postAttentionNorm.Epsilon, normed);
        mlp.Forward(normed, a);
    }
}
