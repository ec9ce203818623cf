using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace TensorParallel.Worker.Ops.Cpu.Kernels;

/// <summary>
/// output[t, n] = Σ_k x[t, k] · w[n, k] + bias[n] for a range of n. Columns go in blocks of
/// <see cref="MatMulJob.BlockColumns"/>, each summed in registers and then added to the output. Two orders of the same
/// sums: up to a tile of tokens every weight row is read once, end to end; more tokens pass over a block of the rows of
/// a part while these stay in the second cache. Blocks are added in order in both: a row's result depends neither on T
/// nor on how rows are shared out.
/// </summary>
internal static unsafe class MatMulKernel<TV, TE>
    where TV : struct, ILanes<TV>
    where TE : struct, IElement
{
    // Up to this many columns one token goes over two rows at a time: fewer streams from memory, and it costs nothing that
    // x is read for every second row as long as it stays in the first cache.
    private const int PairColumns = 4096;

    /// <summary>Computes weight rows [firstRow, endRow).</summary>
    public static void Run(in MatMulJob job, int firstRow, int endRow)
    {
        if (job.Tokens <= DotTile<TV, TE>.MaxTokens)
        {
            var rows = job.Tokens == 1 && job.Columns <= PairColumns ? 2 : 4;
            for (var row = firstRow; row < endRow; row += rows)
            {
                for (var column = 0; column == 0 || column < job.Columns; column += MatMulJob.BlockColumns)
                {
                    Tile(job, row, Math.Min(rows, endRow - row), rows, 0, column);
                }
            }

            return;
        }

        for (var column = 0; column == 0 || column < job.Columns; column += MatMulJob.BlockColumns)
        {
            for (var token = 0; token < job.Tokens; token += TokenPacking<TV>.GroupRows(job.Tokens - token))
            {
                for (var row = firstRow; row < endRow; row += 4)
                {
                    Tile(job, row, Math.Min(4, endRow - row), 4, token, column);
                }
            }
        }
    }

    [SkipLocalsInit]
    private static void Tile(in MatMulJob job, int row, int rows, int tileRows, int token, int column)
    {
        var sums = stackalloc float[24];
        var groupRows = TokenPacking<TV>.GroupRows(job.Tokens - token);
        var columns = Math.Min(MatMulJob.BlockColumns, job.Columns - column);
        var steps = columns / TV.Count;
        var w = job.Weight + (row * job.WeightStride) + ((long)column * TE.Bytes);
        var next = w + (tileRows * job.WeightStride);
        var nextStride = job.WeightStride;
        if (job.Tokens <= DotTile<TV, TE>.MaxTokens && nextStride == (long)job.Columns * TE.Bytes)
        {
            // Dense rows, each read once: fetch the next tile's in the order in which they lie. At K = 8 192 the third
            // of eight blocks fetches the first half of the second of four rows, not a bit of each.
            next += (tileRows - 1L) * column * TE.Bytes;
            nextStride = (long)columns * TE.Bytes;
        }

        var x = Packed(job, token, column, groupRows);
        if (tileRows == 2)
        {
            DotTile<TV, TE>.RunPair(w, rows > 1 ? w + job.WeightStride : w, x, steps, next, nextStride, sums);
        }
        else
        {
            DotTile<TV, TE>.Run(groupRows, w, next, nextStride, job.WeightStride, rows, x, steps, sums);
        }

        Finish(job, row, rows, token, column, steps, sums);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static float* Packed(in MatMulJob job, int token, int column, int groupRows) =>
        job.Packed + ((long)token * TokenPacking<TV>.PaddedColumns(job.Columns)) + ((long)column * groupRows);

    /// <summary>Adds the columns that fill no register, and writes a tile's sums.</summary>
    private static void Finish(in MatMulJob job, int row, int rows, int token, int column, int steps, float* sums)
    {
        var groupRows = TokenPacking<TV>.GroupRows(job.Tokens - token);
        var whole = steps * TV.Count;
        var tail = Math.Min(MatMulJob.BlockColumns, job.Columns - column) - whole;
        if (tail > 0)
        {
            var w = job.Weight + (row * job.WeightStride) + ((long)(column + whole) * TE.Bytes);
            var x = Packed(job, token, column, groupRows) + ((long)whole * groupRows);
            AddTail(groupRows, w, job.WeightStride, rows, tail, x, sums);
        }

        var bias = job.Bias is null || column > 0 ? null : job.Bias + row;
        var output = job.Output + (token * job.OutputStride) + row;
        var count = Math.Min(groupRows, job.Tokens - token);
        for (var m = 0; m < count; m++, output += job.OutputStride)
        {
            Emit(sums + (4 * m), bias, output, rows, column > 0);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Emit(float* sums, float* bias, float* output, int rows, bool accumulate)
    {
        if (rows == 4)
        {
            var value = Vector128.Load(sums);
            value = accumulate ? value + Vector128.Load(output) : bias is null ? value : value + Vector128.Load(bias);
            value.Store(output);
            return;
        }

        for (var r = 0; r < rows; r++)
        {
            output[r] = accumulate ? sums[r] + output[r] : bias is null ? sums[r] : sums[r] + bias[r];
        }
    }

    /// <summary>
    /// Columns that fill no register: copied out and padded with zeros, since what follows a row is not its own.
    /// </summary>
    private static void AddTail(int groupRows, byte* w, long stride, int rows, int tail, float* x, float* sums)
    {
        var padded = stackalloc float[4 * TV.Count];
        var more = stackalloc float[24];
        for (var r = 0; r < rows; r++)
        {
            for (var i = 0; i < tail; i++)
            {
                padded[(r * TV.Count) + i] = TE.Scalar(w + (r * stride) + (i * TE.Bytes));
            }
        }

        var own = (byte*)padded;
        DotTile<TV, F32Element>.Run(groupRows, own, own, 0, TV.Count * sizeof(float), rows, x, 1, more);
        for (var i = 0; i < 4 * groupRows; i++)
        {
            sums[i] += more[i];
        }
    }
}
