using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Worker.Devices;

namespace TensorParallel.Worker.Ops.Cuda;

internal sealed partial class CudaOps
{
    /// <summary>Most rows of x that gemv.cu takes: two tiles of eight.</summary>
    public const int MaxGemvRows = 16;

    // gemv_few.cu: most rows of x, and threads of a block.
    private const int MaxFewRows = 2;
    private const int FewThreads = 128;

    // Scratch for sums that await a bias: 1,024 rows of 4,096.
    private const long SumBytes = 16 << 20;

    // gemv.cu: threads of a block, and its shared memory (256 bytes of ring a thread).
    private const int GemvThreads = 256;
    private const int GemvSharedBytes = 64 * 1024;

    // gemv_any.cu: weight rows of a block, and rows of x.
    private const int PlainRows = 8;
    private const int PlainTokens = 4;

    public void MatMul(Tensor x, Tensor weight, Tensor? bias, Tensor output)
    {
        CudaOperand.CheckFloat(_device, x, output.Rows, weight.Columns);
        CudaOperand.CheckFloat(_device, weight, output.Columns, x.Columns);
        CudaOperand.CheckFloat(_device, output, output.Rows, weight.Rows);
        if (output.DType != x.DType && output.DType != DType.F32)
        {
            throw new ArgumentException($"output must be {x.DType} or F32, but is {output.DType}.", nameof(output));
        }

        if (bias is { } given)
        {
            CudaOperand.CheckFloat(_device, given, 1, weight.Rows, nameof(bias));
        }

        if (output.Rows == 0 || output.Columns == 0)
        {
            return;
        }

        var many = output.Rows > MaxGemvRows && x.DType == weight.DType && x.Columns > 0;
        if (!many || !TryProducts(x, weight, bias, output))
        {
            MultiplyByKernels(x, weight, bias, output);
        }
    }

    private void MultiplyByKernels(Tensor x, Tensor weight, Tensor? bias, Tensor output)
    {
        var streams = x.DType == weight.DType && x.DType != DType.F32 && x.Columns > 0
            && CudaOperand.IsWide(x) && CudaOperand.IsWide(weight);
        if (!streams)
        {
            GemvAny(x, weight, bias, output);
            return;
        }

        for (var row = 0; row < output.Rows; row += MaxGemvRows)
        {
            var rows = Math.Min(MaxGemvRows, output.Rows - row);
            Gemv(x.RowsAt(row, rows), weight, bias, output.RowsAt(row, rows));
        }
    }

    /// <summary>
    /// Products of many rows by cuBLASLt, a bias added in f32: by its epilogue, else to sums in f32 scratch that are rounded
    /// afterwards (a bias of −9 on a product of 9.03 leaves 0.03: rounding the product to bf16 first would make it 0 or 0.06).
    /// </summary>
    private bool TryProducts(Tensor x, Tensor weight, Tensor? bias, Tensor output)
    {
        if (_products is not { } products)
        {
            return false;
        }

        if (bias is not { } added)
        {
            return products.TryMultiply(x, weight, null, output);
        }

        if (MatrixProducts.CanAdd(added, output) && products.TryMultiply(x, weight, bias, output))
        {
            return true;
        }

        if (output.DType == DType.F32)
        {
            if (!products.TryMultiply(x, weight, null, output))
            {
                return false;
            }

            AddBias(output, added);
            return true;
        }

        return TryProductsByScratch(products, x, weight, added, output);
    }

    private bool TryProductsByScratch(MatrixProducts products, Tensor x, Tensor weight, Tensor bias, Tensor output)
    {
        var rowsAtOnce = (int)Math.Min(output.Rows, SumBytes / ((long)output.Columns * sizeof(float)));
        for (var row = 0; row < output.Rows && rowsAtOnce > 0; row += rowsAtOnce)
        {
            var rows = Math.Min(rowsAtOnce, output.Rows - row);
            var sums = new Tensor(_sums, 0, DType.F32, rows, output.Columns, output.Columns);
            var (source, target) = (x.RowsAt(row, rows), output.RowsAt(row, rows));
            if (products.TryMultiply(source, weight, null, sums))
            {
                RoundWithBias(sums, bias, target);
            }
            else
            {
                MultiplyByKernels(source, weight, bias, target);
            }
        }

        return rowsAtOnce > 0;
    }

    private void Gemv(Tensor x, Tensor weight, Tensor? bias, Tensor output)
    {
        if (x.Rows <= MaxFewRows && FewWeightRows != 0)
        {
            GemvFew(x, weight, bias, output);
            return;
        }

        var manyRows = x.Rows > 8;
        var rowsPerBlock = RowsPerBlock(weight.Rows, manyRows);
        var kernel = CudaKernels.Gemv(x.DType, output.DType, rowsPerBlock > 16, manyRows);
        var function = _device.Modules.Get(kernel, GemvSharedBytes);
        var grid = new CudaGrid(CeilDiv(weight.Rows, rowsPerBlock), 1, 1, GemvThreads, GemvSharedBytes);
        _device.Launch(function, grid, GemvArguments(x, weight, bias, output, rowsPerBlock));
    }

    private void GemvFew(Tensor x, Tensor weight, Tensor? bias, Tensor output)
    {
        var weightRows = FewWeightRows ?? FewRowsPerBlock(weight.Rows, weight.Columns);
        var function = _device.Modules.Get(CudaKernels.GemvFew(x.DType, output.DType, x.Rows, weightRows));
        var grid = new CudaGrid(CeilDiv(weight.Rows, weightRows), 1, 1, FewThreads);
        _device.Launch(function, grid, GemvArguments(x, weight, bias, output, weightRows));
    }

    /// <summary>
    /// Weight rows of a block of gemv_few.cu: at least 16 KB of weights, so that its eight loads a thread are real ones (rows of
    /// 1,024: 8), and no more than 64 blocks a multiprocessor if 4 rows avoid it (28,672 rows: 4; 4,096 rows of 14,336: 2).
    /// </summary>
    private int FewRowsPerBlock(int rows, int columns) => columns switch
    {
        <= 1024 => 8,
        <= 2048 => 4,
        _ => rows > 128 * _device.Multiprocessors ? 4 : 2,
    };

    /// <summary>
    /// Weight rows of a block: as many as the tile takes, but so that the blocks fill the multiprocessors evenly. 132 of them and
    /// 1,536 rows: one block each, 12 rows; 4,096 rows: two each, 16 rows (a third of a block more would cost a third of the time).
    /// </summary>
    private int RowsPerBlock(int rows, bool manyRows)
    {
        // With more than 8 rows of x, wide tiles halve the traffic for x, which is then as much as that for weights.
        var most = manyRows && rows >= 32 * _device.Multiprocessors ? 32 : 16;
        var blocksEach = CeilDiv(CeilDiv(rows, most), _device.Multiprocessors);
        return Math.Max(1, Math.Min(most, CeilDiv(rows, blocksEach * _device.Multiprocessors)));
    }

    private void GemvAny(Tensor x, Tensor weight, Tensor? bias, Tensor output)
    {
        var wide = CudaOperand.IsWide(x) && CudaOperand.IsWide(weight);
        var function = _device.Modules.Get(CudaKernels.GemvAny(x.DType, weight.DType, output.DType));
        for (var row = 0; row < output.Rows; row += MaxGridRows * PlainTokens)
        {
            var rows = Math.Min(MaxGridRows * PlainTokens, output.Rows - row);
            var grid = new CudaGrid(CeilDiv(weight.Rows, PlainRows), CeilDiv(rows, PlainTokens), 1, PlainRows * 32);
            var arguments = GemvArguments(x.RowsAt(row, rows), weight, bias, output.RowsAt(row, rows), wide ? 1 : 0);
            _device.Launch(function, grid, arguments);
        }
    }

    private static CudaArguments.Gemv GemvArguments(Tensor x, Tensor weight, Tensor? bias, Tensor output, int variable) => new()
    {
        X = x.Address,
        Weight = weight.Address,
        Bias = bias?.Address ?? 0,
        Output = output.Address,
        XStride = x.RowStride,
        WeightStride = weight.RowStride,
        OutputStride = output.RowStride,
        Tokens = x.Rows,
        N = weight.Rows,
        K = x.Columns,
        RowsPerBlockOrWide = variable,
        BiasType = bias is { } given ? CudaElement.Code(given.DType) : 0,
    };
}
