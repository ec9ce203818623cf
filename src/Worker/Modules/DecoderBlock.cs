namespace TensorParallel.Worker.Modules;

/// <summary>
/// One pre-norm decoder block. What the block before left in Delta is added on the way into the first norm.
/// </summary>
/// <param name="place">Where its weights lie.</param>
/// <param name="inputNorm">Before attention.</param>
/// <param name="attention">The attention.</param>
/// <param name="postAttentionNorm">Before the MLP.</param>
/// <param name="mlp">The MLP.</param>
internal sealed class DecoderBlock(
    IWeightPlace place, Norm inputNorm, AttentionModule attention, Norm postAttentionNorm, GatedMlp mlp)
{
    /// <summary>What the block leaves in Delta.</summary>
    public PendingDelta Leaves => mlp.Leaves;

    /// <summary>Its products.</summary>
    public IEnumerable<ParallelLinear> Linears => attention.Linears.Concat(mlp.Linears);

    /// <summary>
    /// Hidden + Delta → attention → MLP; the MLP's output is left in Delta. Parts take turns: while one's Delta is summed over the ranks,
    /// the other is computed. A part attends to keys and values of those before it.
    /// </summary>
    /// <param name="parts">All rows of the step, in order.</param>
    /// <param name="streams">The residual stream of each.</param>
    /// <param name="pending">What the block before left in Delta; nothing on a rank's first block.</param>
    public void Forward(IReadOnlyList<BlockRows> parts, IReadOnlyList<ResidualStream> streams, PendingDelta pending)
    {
        place.Enter(parts.Sum(part => part.Hidden.Rows));
        for (var i = 0; i < parts.Count; i++)
        {
            var (hidden, normed, inner) = parts[i];
            streams[i].Normalize(hidden, inner.Delta, pending, inputNorm, normed);
            attention.Forward(normed, inner);
            streams[i].NoteDelta();
        }

        for (var i = 0; i < parts.Count; i++)
        {
            var (hidden, normed, inner) = parts[i];
            streams[i].Normalize(hidden, inner.Delta, attention.Leaves, postAttentionNorm, normed);
            mlp.Forward(normed, inner);
            streams[i].NoteDelta();
        }

        place.Leave();
    }
}
