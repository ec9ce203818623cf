using TensorParallel.Worker.Devices;

namespace TensorParallel.Worker.Modules;

/// <summary>
/// This rank's share of a decoder model: embedding, some or all blocks, final norm and output head. Owns all its
/// device memory. Used by one thread.
/// </summary>
/// <param name="context">Operations.</param>
/// <param name="stream">The residual stream, the blocks' own.</param>
/// <param name="embedding">Null where this rank does not look up tokens.</param>
/// <param name="blocks">Blocks in order; may be empty.</param>
/// <param name="finalNorm">Null where this rank has no output head.</param>
/// <param name="head">Null where this rank has no output head.</param>
/// <param name="owned">All memory behind the modules.</param>
internal sealed class DecoderModel(
    RankContext context,
    ResidualStream stream,
    VocabEmbedding? embedding,
    IReadOnlyList<DecoderBlock> blocks,
    Norm? finalNorm,
    OutputHead? head,
    IReadOnlyList<IDisposable> owned) : IDisposable
{
    /// <summary>Whether this rank looks up tokens.</summary>
    public bool HasEmbedding => embedding is not null;

    /// <summary>Null where this rank has no output head.</summary>
    public OutputHead? Head => head;

    /// <summary>Products of the blocks.</summary>
    public IEnumerable<ParallelLinear> Linears => blocks.SelectMany(block => block.Linears);

    /// <summary>Hidden = embeddings of the ids. ids: I32 [1, T].</summary>
    public void Embed(Tensor ids, Activations a) =>
        (embedding ?? throw NotHere("token embedding")).Forward(ids, a.Hidden);

    /// <summary>Runs this rank's blocks on Hidden; what the last one adds is left in Delta.</summary>
    public void RunBlocks(Activations a)
    {
        stream.Begin();
        var pending = PendingDelta.None;
        foreach (var block in blocks)
        {
            block.Forward(a.Hidden, a.Normed, Inner(a), pending);
            pending = block.Leaves;
        }
    }

    /// <summary>Adds what the last block left in Delta, so that Hidden is complete for the next rank.</summary>
    public void CompleteHidden(Activations a)
    {
        if (blocks.Count > 0)
        {
            stream.Complete(a.Hidden, Inner(a).Delta, blocks[^1].Leaves);
        }
    }

    /// <summary>Final norm of all rows into Normed; ends the pass: Hidden may be whole on no rank any more.</summary>
    public void Normalize(Activations a)
    {
        var norm = finalNorm ?? throw NotHere("final norm");
        if (blocks.Count > 0)
        {
            stream.Normalize(a.Hidden, Inner(a).Delta, blocks[^1].Leaves, norm, a.Normed);
        }
        else
        {
            context.Ops.RmsNorm(a.Hidden, norm.Weight, norm.Epsilon, a.Normed);
        }
    }

    public void Dispose() => Disposal.Of(owned);

    private BlockActivations Inner(Activations a) => a.Blocks ?? throw NotHere("activations for its blocks");

    private InvalidOperationException NotHere(string part) => new($"Rank {context.Rank} has no {part}.");
}
