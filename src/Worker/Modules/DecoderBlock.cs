namespace TensorParallel.Worker.Modules;

/// <summary>One pre-norm decoder block. What the block before left in Delta is added on the way into the first norm.</summary>
/// <param name="context">Operations.</param>
/// <param name="inputNorm">Before attention.</param>
/// <param name="attention">The attention.</param>
/// <param name="postAttentionNorm">Before the MLP.</param>
/// <param name="mlp">The MLP.</param>
internal sealed class DecoderBlock(
    RankContext context, Norm inputNorm, AttentionModule attention, Norm postAttentionNorm, GatedMlp mlp)
{
    /// <summary>Hidden + Delta → attention → MLP; the MLP's output is left in Delta.</summary>
    /// <param name="a">Activations.</param>
    /// <param name="hasDelta">False on a rank's first block: Hidden is complete and Delta holds nothing.</param>
    public void Forward(Activations a, bool hasDelta)
    {
        if (hasDelta)
        {
            context.Ops.AddRmsNorm(a.Hidden, a.Delta, inputNorm.Weight, inputNorm.Epsilon, a.Normed);
        }
        else
        {
            context.Ops.RmsNorm(a.Hidden, inputNorm.Weight, inputNorm.Epsilon, a.Normed);
        }

        attention.Forward(a);
        context.Ops.AddRmsNorm(a.Hidden, a.Delta, postAttentionNorm.Weight, postAttentionNorm.Epsilon, a.Normed);
        mlp.Forward(a);
    }
}
