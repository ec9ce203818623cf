using TensorParallel.Worker.Devices;

namespace TensorParallel.Worker.Modules;

/// <summary>
/// This rank's share of a decoder model: embedding, some or all blocks, final norm and output head. Owns all its
/// device memory. Used by one thread.
/// </summary>
/// <param name="context">Operations.</param>
/// <param name="streams">Residual streams of a step's rows.</param>
/// <param name="embedding">Null where this rank does not look up tokens.</param>
/// <param name="blocks">Blocks in order; may be empty.</param>
/// <param name="finalNorm">Null where this rank has no output head.</param>
/// <param name="head">Null where this rank has no output head.</param>
/// <param name="owned">All memory behind the modules.</param>
internal sealed class DecoderModel(
    RankContext context,
    ResidualStreams streams,
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

    /// <summary>
    /// Calls with one of each kind of product that the blocks make; again as they are made beside other work, where steps are halved.
    /// </summary>
    public void RehearseProducts(Action<ParallelLinear> rehearse)
    {
        ParallelLinear[] kinds = [.. blocks.SelectMany(block => block.Linears).DistinctBy(linear => linear.Product)];
        Array.ForEach(kinds, rehearse);
        if (streams.HalvesAny)
        {
            streams.Begin(ResidualStreams.Parts);
            Array.ForEach(kinds, rehearse);
            streams.End();
        }
    }

    /// <summary>How the rows of a step that is not recorded are best divided into parts, all of them in order.</summary>
    public IReadOnlyList<int> PartsOf(int rows) => blocks.Count == 0 ? [rows] : streams.PartsOf(rows);

    /// <summary>Hidden = embeddings of the ids. ids: I32 [1, T].</summary>
    public void Embed(Tensor ids, Activations a) =>
        (embedding ?? throw NotHere("token embedding")).Forward(ids, a.Hidden);

    /// <summary>Runs this rank's blocks on Hidden; what the last one adds is left in Delta.</summary>
    public void RunBlocks(Activations a)
    {
        var rows = streams.Begin(a.Parts.Count);
        var pending = PendingDelta.None;
        foreach (var block in blocks)
        {
            block.Forward(a.Parts, rows, pending);
            pending = block.Leaves;
        }

        streams.End();
    }

    /// <summary>Adds what the last block left in Delta, so that Hidden is complete for the next rank.</summary>
    public void CompleteHidden(Activations a)
    {
        foreach (var (part, stream) in a.Parts.Zip(streams.Of(a.Parts.Count)))
        {
            stream.Complete(part.Hidden, part.Inner.Delta, blocks[^1].Leaves);
        }
    }

    /// <summary>Final norm of all rows into Normed; ends the pass: Hidden may be whole on no rank any more.</summary>
    public void Normalize(Activations a)
    {
        var norm = finalNorm ?? throw NotHere("final norm");
        if (blocks.Count == 0)
        {
            context.Ops.RmsNorm(a.Hidden, norm.Weight, norm.Epsilon, a.Normed);
            return;
        }

        foreach (var (part, stream) in a.Parts.Zip(streams.Of(a.Parts.Count)))
        {
            stream.Normalize(part.Hidden, part.Inner.Delta, blocks[^1].Leaves, norm, part.Normed);
        }
    }

    public void Dispose()
    {
        streams.Dispose();
        foreach (var item in owned)
        {
            item.Dispose();
        }
    }

    private InvalidOperationException NotHere(string part) => new($"Rank {context.Rank} has no {part}.");
}
