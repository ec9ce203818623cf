namespace TensorParallel.Worker.Ops;

/// <summary>
/// Which heads this rank computes. Local query head h reads local KV head
/// <c>(QueryStart + h) / GroupSize − KeyValueStart</c>. Example: 12 query heads over 3 KV heads, rank 1 of 2: QueryStart 6,
/// KeyValueStart 1, GroupSize 4: local query heads 0, 1 read local KV head 0 and 2 … 5 read 1.
/// </summary>
/// <param name="QueryStart">First query head of this rank in the whole model.</param>
/// <param name="QueryHeads">Query heads on this rank.</param>
/// <param name="KeyValueStart">First KV head of this rank in the whole model.</param>
/// <param name="KeyValueHeads">KV heads on this rank.</param>
/// <param name="GroupSize">Query heads that share a KV head in the whole model.</param>
/// <param name="HeadDim">Size of one head.</param>
internal readonly record struct HeadLayout(
    int QueryStart, int QueryHeads, int KeyValueStart, int KeyValueHeads, int GroupSize, int HeadDim)
{
    /// <summary>Columns of a fused row [q heads | k heads | v heads].</summary>
    public int FusedColumns => (QueryHeads + (2 * KeyValueHeads)) * HeadDim;

    /// <summary>Local KV head that a local query head reads.</summary>
    public int KeyValueHeadOf(int localQueryHead) => ((QueryStart + localQueryHead) / GroupSize) - KeyValueStart;
}
