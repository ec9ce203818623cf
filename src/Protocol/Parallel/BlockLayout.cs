using TensorParallel.Protocol.Architectures;

namespace TensorParallel.Protocol.Parallel;

/// <summary>What one rank computes of one decoder block, read off its slices.</summary>
/// <param name="QueryHeads">Query heads it computes: all of them unless the projections are cut by heads.</param>
/// <param name="KeyValueHeads">Key/value heads whose cache it keeps for this block.</param>
/// <param name="MlpColumns">Columns of gate, up and the activation; all of them unless gate and up stay cut.</param>
/// <param name="GatherColumns">Most columns that it adds to an all-gather inside the block; 0: there is none.</param>
public readonly record struct BlockLayout(
    IndexRange QueryHeads, IndexRange KeyValueHeads, IndexRange MlpColumns, int GatherColumns)
{
    /// <summary>Columns of its fused q‖k‖v rows.</summary>
    public int FusedColumns(int headDim) => (QueryHeads.Length + (2 * KeyValueHeads.Length)) * headDim;

    /// <summary>The layout of a block.</summary>
    /// <param name="block">The block.</param>
    /// <param name="slices">This rank's slices by tensor name.</param>
    public static BlockLayout Of(BlockSpec block, IReadOnlyDictionary<string, TensorSlice> slices)
    {
        var attention = block.Attention;
        return new(
            Heads(attention.Query, attention.NumAttentionHeads),
            Heads(attention.Key, attention.NumKeyValueHeads),
            Columns(block.Mlp.Gate),
            block.Linears.Max(linear => Gathered(slices[linear.WeightName])));

        IndexRange Heads(LinearSpec linear, int all)
        {
            var columns = Columns(linear);
            return columns.Length == linear.OutFeatures
                ? new IndexRange(0, all)
                : new IndexRange(columns.Start / attention.HeadDim, columns.End / attention.HeadDim);
        }

        // Columns of the output that stay on this rank.
        IndexRange Columns(LinearSpec linear) =>
            slices[linear.WeightName] is { Dim: 0 } slice && Style(slice).OutputLayout == ActivationLayout.Sharded
                ? slice.Ranges[0]
                : new IndexRange(0, linear.OutFeatures / linear.PackedParts);
    }

    private static int Gathered(TensorSlice slice) =>
        Style(slice).Collective == CollectiveKind.AllGather ? slice.Ranges.Sum(range => range.Length) : 0;

    private static TpStyle Style(TensorSlice slice) => TpStyleCatalog.Find(slice.Style)
        ?? throw new PlanException($"tensor {slice.Name}: {slice.Style} is no style.");
}
