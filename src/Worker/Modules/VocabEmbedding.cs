using TensorParallel.Worker.Devices;

namespace TensorParallel.Worker.Modules;

/// <summary>
/// Token embedding: whole on this rank, or cut by vocabulary: ids of other ranks give zero rows, which the sum over
/// ranks fills.
/// </summary>
/// <param name="context">Operations and peers.</param>
/// <param name="table">This rank's rows of the table [vocabulary, HiddenSize].</param>
/// <param name="firstRow">First vocabulary entry held; 0 when whole.</param>
/// <param name="isCut">Whether other ranks hold other rows.</param>
internal sealed class VocabEmbedding(RankContext context, Tensor table, int firstRow, bool isCut)
{
    /// <summary>
    /// output[t] = embedding of ids[t]. ids: I32 [1, T]; output: [T, HiddenSize], the same on every rank.
    /// </summary>
    public void Forward(Tensor ids, Tensor output)
    {
        context.Ops.Embedding(table, ids, firstRow, output);
        if (isCut)
        {
            context.Collective.AllReduceSum(output);
        }
    }
}
