using TensorParallel.Coordinator.Planning.ModuleTrees;
using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Protocol.Parallel;

namespace TensorParallel.Coordinator.Planning.Estimates;

/// <summary>
/// Bytes of weights on each rank under the family's tensor-parallel plan, from its module tree: the same cuts that
/// <see cref="TensorParallelPlanner"/> makes, for families too that cannot be computed.
/// </summary>
internal static class TensorParallelWeights
{
    /// <summary>One number a rank.</summary>
    /// <param name="tree">The model.</param>
    /// <param name="dtype">Of its weights.</param>
    /// <param name="ranks">At most its query heads, MLP columns and vocabulary.</param>
    public static IReadOnlyList<long> Of(ModuleTree tree, DType dtype, int ranks)
    {
        var shape = tree.Shape;
        var heads = new HeadPartition(shape.Heads, shape.KeyValueHeads, shape.HeadDim, ranks);
        var columns = UnitPartition.OfWidth(shape.Intermediate, ranks);
        var vocabulary = UnitPartition.OfWidth(shape.Vocabulary, ranks);
        var byCut = tree.OwnTensors()
            .Where(tensor => !tensor.Value.IsBuffer)
            .GroupBy(tensor => tensor.Value.Cut, tensor => tensor.Value.Bytes(dtype))
            .ToDictionary(cut => cut.Key, cut => cut.Sum());
        return [.. Enumerable.Range(0, ranks).Select(rank => byCut.Sum(cut => PartOf(cut.Key, cut.Value, rank)))];

        // All tensors of a cut have the same number of units, so that their sum is cut as each of them is.
        long PartOf(TensorCut cut, long bytes, int rank) => cut switch
        {
            TensorCut.QueryHeads => bytes / shape.Heads * heads.QueryHeads(rank).Length,
            TensorCut.KeyValueHeads => bytes / shape.KeyValueHeads * heads.KeyValueHeads(rank).Length,
            TensorCut.MlpColumns => bytes / shape.Intermediate * columns[rank].Length,
            TensorCut.Vocabulary => bytes / shape.Vocabulary * vocabulary[rank].Length,
            _ => bytes,
        };
    }
}
