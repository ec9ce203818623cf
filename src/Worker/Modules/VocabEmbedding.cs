using TensorParallel.Worker.Devices;

namespace TensorParallel.Worker.Modules;

/// <summary>
/// Token embedding: whole on this rank, or cut by vocabulary: ids of other ranks give zero rows, which the sum over
/// ranks fills.
/// </summary>
/// <param name="context">Operations and peers.</param>
/// <param name="table">This rank's rows of the table [vocabulary, HiddenSize].</param>
/// <param name="isCut">Whether other ranks hold other rows.</param>
internal sealed class VocabEmbedding(RankContext context, IEmbeddingTable table, bool isCut)
{
    /// <summary>
    /// output[t] = embedding of ids[t]. ids: I32 [1, T]; output: [T, HiddenSize], the same on every rank.
    /// </summary>
    public void Forward(Tensor ids, Tensor output)
    {
        table.LookUp(ids, output);
        if (isCut)
        {
            context.Collective.AllReduceSum(output);
        }
    }
}
