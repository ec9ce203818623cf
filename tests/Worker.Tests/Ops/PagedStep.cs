using TensorParallel.Worker.Ops;

namespace TensorParallel.Worker.Tests.Ops;

/// <summary>A <see cref="PagedCase"/> on a device.</summary>
/// <param name="Case">Its shapes.</param>
/// <param name="Rows">The step's rows.</param>
/// <param name="Keys">[Blocks · Heads · BlockTokens, HeadDim]; NaN where no token has been written.</param>
/// <param name="Values">Same shape.</param>
/// <param name="Blocks">Block ids of each sequence.</param>
internal sealed record PagedStep(PagedCase Case, StepRows Rows, TestTensor Keys, TestTensor Values, int[][] Blocks)
{
    /// <summary>The cache as operations see it.</summary>
    public KvLayerView Cache =>
        new(Keys.Tensor, Values.Tensor, Case.Heads.KeyValueHeads, Case.Heads.HeadDim, Case.BlockTokens);

    /// <summary>Row of the cache tensors that holds a token of a KV head.</summary>
    public int CacheRow(int sequence, int head, int position) =>
        (((Blocks[sequence][position / Case.BlockTokens] * Case.Heads.KeyValueHeads) + head) * Case.BlockTokens)
        + (position % Case.BlockTokens);

    /// <summary>[position, d] of one KV head of a sequence, as far as the step's context goes.</summary>
    public double[,] Logical(double[,] cache, int sequence, int head)
    {
        var (past, rows) = Case.Sequences[sequence];
        var result = new double[past + rows, Case.Heads.HeadDim];
        for (var p = 0; p < past + rows; p++)
        {
            for (var d = 0; d < Case.Heads.HeadDim; d++)
            {
                result[p, d] = cache[CacheRow(sequence, head, p), d];
            }
        }

        return result;
    }
}
