using TensorParallel.Worker.Devices;

namespace TensorParallel.Worker.Modules;

/// <summary>
/// Token embedding: whole on this rank, or cut by vocabulary (ids of other ranks give zero rows, which the sum over ranks replaces), or
/// cut by hidden columns.
/// </summary>
/// <param name="context">Operations and peers.</param>
/// <param name="table">This rank's [rows, columns] of the table; owned by whoever built it, because a tied head reads it too.</param>
/// <param name="firstRow">First vocabulary entry held; 0 unless cut by vocabulary.</param>
/// <param name="join">None: whole; Sum: cut by vocabulary; Gather: cut by columns.</param>
/// <param name="gatherColumns">Columns that each rank holds; only read for a gather.</param>
internal sealed class VocabEmbedding(
    RankContext context, Tensor table, int firstRow, OutputJoin join, IReadOnlyList<int> gatherColumns)
{
    /// <summary>Columns needed for the gather part.</summary>
    public int GatherPartColumns => join == OutputJoin.Gather ? table.Columns : 0;

    /// <summary>output[t] = embedding of ids[t]. ids: I32 [1, T]; output: [T, HiddenSize], the same on every rank.</summary>
    public void Forward(Tensor ids, Tensor output, Tensor? gatherPart)
    {
        if (join == OutputJoin.Gather)
        {
            var part = (gatherPart ?? throw new ArgumentNullException(nameof(gatherPart))).ColumnsAt(0, table.Columns);
            if (part.Columns > 0)
            {
                context.Ops.Embedding(table, ids, 0, part);
            }

            context.Collective.AllGatherColumns(part, output, gatherColumns);
            return;
        }

        context.Ops.Embedding(table, ids, firstRow, output);
        if (join == OutputJoin.Sum)
        {
            context.Collective.AllReduceSum(output);
        }
    }
}
