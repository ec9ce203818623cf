using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace TensorParallel.Worker.Ops.Cpu.Kernels;

/// <summary>
/// output[t, n] = Σ_k x[t, k] · w[n, k] + bias[n] for a range of n. Columns go in blocks of <see cref="BlockColumns"/>, each
/// summed in registers and then added to the output: so a tile's tokens and weights stay in the first cache. Blocks are added
/// in order whatever the shape: a row's result depends neither on T nor on how rows are shared out.
/// </summary>
internal static unsafe class MatMulKernel<TV, TE>
    where TV : struct, ILanes<TV>
    where TE : struct, IElement
{
    /// <summary>Columns of a block.</summary>
    private const int BlockColumns = 2048;

    /// <summary>Computes weight rows [firstRow, endRow).</summary>
    public static void Run(in MatMulJob job, int firstRow, int endRow)
    {
        if (job.Tokens <= DotTile<TV, TE>.MaxTokens)
        {
            // One group: each weight row is read once, from its first column to its last.
            for (var row = firstRow; row < endRow; row += 4)
            {
                for (var column = 0; column == 0 || column < job.Columns; column += BlockColumns)
                {
                    Tile(job, row, Math.Min(4, endRow - row), 0, column);
                }
            }

            return;
        }

        for (var column = 0; column == 0 || column < job.Columns; column += BlockColumns)
        {
            for (var token = 0; token < job.Tokens; token += TokenPacking<TV>.GroupRows(job.Tokens - token))
            {
                for (var row = firstRow; row < endRow; row += 4)
                {
                    Tile(job, row, Math.Min(4, endRow - row), token, column);
                }
            }
        }
    }

    [SkipLocalsInit]
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Tile(in MatMulJob job, int row, int rows, int token, int column)
    {
        var sums = stackalloc float[24];
        var groupRows = TokenPacking<TV>.GroupRows(job.Tokens - token);
        var columns = Math.Min(BlockColumns, job.Columns - column);
        var steps = columns / TV.Count;
        var x = job.Packed + ((long)token * TokenPacking<TV>.PaddedColumns(job.Columns)) + ((long)column * groupRows);
        var w = job.Weight + (row * job.WeightStride) + ((long)column * TE.Bytes);
        DotTile<TV, TE>.Run(groupRows, w, job.WeightStride, rows, x, steps, sums);
        var tail = columns - (steps * TV.Count);
        if (tail > 0)
        {
            x += (long)steps * groupRows * TV.Count;
            AddTail(groupRows, w + ((long)steps * TV.Count * TE.Bytes), job.WeightStride, rows, tail, x, sums);
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

    /// <summary>Columns that fill no register: copied out and padded with zeros, since what follows a row is not its own.</summary>
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

        DotTile<TV, F32Element>.Run(groupRows, (byte*)padded, TV.Count * sizeof(float), rows, x, 1, more);
        for (var i = 0; i < 4 * groupRows; i++)
        {
            sums[i] += more[i];
        }
    }
}
