using TensorParallel.Protocol.Architectures;
using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Worker.Devices;

namespace TensorParallel.Worker.Ops.Cuda;

internal sealed partial class CudaOps
{
    /// <summary>Most rows of x that gemv.cu takes.</summary>
    public const int MaxGemvRows = GemvShape.MaxTokens;

    // Most rows of x that gemv_few.cu takes.
    private const int MaxFewRows = 2;

    // Scratch for sums that await a bias.
    private const long SumBytes = Protocol.Parallel.DeviceScratch.ProductSumBytes;

    // gemv_any.cu: weight rows of a block, and rows of x.
    private const int PlainRows = 8;
    private const int PlainTokens = 4;

    // A shape's kernels differ in types and epilogue, which have no say in how many clusters fit.
    private readonly Dictionary<StreamShape, int> _clustersAtOnce = [];

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

        if (IsForStream(x, weight))
        {
            Stream(x, weight, bias, output, null);
        }
        else if (!IsForLibrary(x, weight) || !TryProducts(x, weight, bias, output))
        {
            MultiplyByKernels(x, weight, bias, output);
        }
    }

    public void MatMulGated(Tensor x, Tensor weight, Tensor? bias, ActivationKind activation, Tensor fused, Tensor output)
    {
        CudaOperand.CheckFloat(_device, x, output.Rows, weight.Columns);
        CudaOperand.CheckFloat(_device, weight, 2 * output.Columns, x.Columns);
        CudaOperand.Check(_device, fused, x.DType, output.Rows, weight.Rows);
        CudaOperand.Check(_device, output, x.DType, output.Rows, output.Columns);
        if (bias is { } given)
        {
            CudaOperand.CheckFloat(_device, given, 1, weight.Rows, nameof(bias));
        }

        if (output.Rows > 0 && output.Columns > 0 && FusesActivation && IsForStream(x, weight))
        {
            Stream(x, weight, bias, output, activation);
            return;
        }

        // Where cuBLASLt makes the product the activation is a small part of it.
        if (output.Rows > 0 && output.Columns > 0 && FusesActivation && Streams(x, weight)
            && !IsForLibrary(x, weight) && output.Rows <= MaxGemvRows)
        {
            Gemv(x, weight, bias, output, activation);
            return;
        }

        MatMul(x, weight, bias, fused);
        GatedActivation(
            fused.ColumnsAt(0, output.Columns), fused.ColumnsAt(output.Columns, output.Columns), activation, output);
    }

    private bool IsForLibrary(Tensor x, Tensor weight) =>
        _products is not null && x.DType == weight.DType && x.Columns > 0
            && GemvShape.IsForLibrary(x.Rows, weight.Rows, weight.Columns);

    // One or two rows are read at 4.3 TB/s by gemv_few.cu. From three on a step is 4 to 14 % shorter with gemm_stream.cu, where it can be had,
    // though a single product may not be: 28,672 x 4,096 takes it 60.6 us, cuBLASLt 57.1 and its activation besides.
    private bool IsForStream(Tensor x, Tensor weight) =>
        Streams(x, weight) && StreamShape.Takes(x.Rows, _device.Capability) && (StreamsProducts ?? x.Rows > MaxFewRows);

    // Whether gemv.cu and gemv_few.cu take these operands.
    private static bool Streams(Tensor x, Tensor weight) =>
        x.DType == weight.DType && x.DType != DType.F32 && x.Columns > 0 && CudaOperand.IsWide(x) && CudaOperand.IsWide(weight);

    private void MultiplyByKernels(Tensor x, Tensor weight, Tensor? bias, Tensor output)
    {
        if (!Streams(x, weight))
        {
            GemvAny(x, weight, bias, output);
            return;
        }

        for (var row = 0; row < output.Rows; row += MaxGemvRows)
        {
            var rows = Math.Min(MaxGemvRows, output.Rows - row);
            Gemv(x.RowsAt(row, rows), weight, bias, output.RowsAt(row, rows), null);
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

    // With an activation the weight is [gate | up] and the output has half its rows as columns.
    private void Gemv(Tensor x, Tensor weight, Tensor? bias, Tensor output, ActivationKind? activation)
    {
        var gated = activation is not null;
        var arguments = GemvArguments(x, weight, bias, output, 0);
        arguments.N = output.Columns;
        arguments.Activation = gated ? KindOf(activation!.Value) : 0;
        if (x.Rows <= MaxFewRows && FewWeightRows != 0)
        {
            var weightRows = FewWeightRows ?? GemvShape.FewRows(weight.Rows, weight.Columns, _device.Multiprocessors);
            var few = _device.Modules.Get(CudaKernels.GemvFew(x.DType, output.DType, x.Rows, weightRows, gated));
            _device.Launch(few, new CudaGrid(CeilDiv(weight.Rows, weightRows), 1, 1, GemvShape.FewThreads), arguments);
            return;
        }

        var manyRows = x.Rows > 8;
        var rowsPerBlock = GemvShape.Rows(weight.Rows, manyRows, _device.Multiprocessors);
        arguments.RowsPerBlockOrWide = gated ? CeilDiv(rowsPerBlock, 2) : rowsPerBlock;
        var kernel = CudaKernels.Gemv(x.DType, output.DType, rowsPerBlock > 16, manyRows, gated);
        var function = _device.Modules.Get(kernel, GemvShape.SharedBytes);
        var blocks = CeilDiv(output.Columns, arguments.RowsPerBlockOrWide);
        _device.Launch(function, new CudaGrid(blocks, 1, 1, GemvShape.Threads, GemvShape.SharedBytes), arguments);
    }

    // With an activation the weight is [gate | up] and the output has half its rows as columns.
    private void Stream(Tensor x, Tensor weight, Tensor? bias, Tensor output, ActivationKind? activation)
    {
        var gated = activation is not null;
        var shape = StreamShape.For(
            x.Rows, weight.Rows, weight.Columns, _device.Multiprocessors, shape => ClustersAtOnce(x.DType, output.DType, shape, gated));
        shape = StreamCut is { } cut ? shape with { Stages = cut.Stages, Parts = cut.Parts } : shape;
        var elements = output.DType.SizeInBytes();
        var arguments = new CudaArguments.GemmStream
        {
            Weight = CudaTensorMap.Of(_device, weight, StreamShape.BoxRows),
            X = CudaTensorMap.Of(_device, x, shape.Rows),
            Bias = bias?.Address ?? 0,
            Output = output.Address,
            OutputStride = output.RowStride,
            Tokens = x.Rows,
            N = output.Columns,
            K = x.Columns,
            BiasType = bias is { } given ? CudaElement.Code(given.DType) : 0,
            Activation = gated ? KindOf(activation!.Value) : 0,
            Wide = output.Address % (4 * elements) == 0 && output.RowStride % 4 == 0 ? 1 : 0,
        };
        var function = _device.Modules.Get(CudaKernels.GemmStream(x.DType, output.DType, shape, gated), shape.SharedBytes);
        var tiles = CeilDiv(output.Columns, gated ? StreamShape.Tile / 2 : StreamShape.Tile);
        _device.Launch(function, new CudaGrid(shape.Parts, tiles, 1, StreamShape.Threads, shape.SharedBytes, shape.Parts), arguments);
    }

    private int ClustersAtOnce(DType input, DType output, StreamShape shape, bool gated)
    {
        if (!_clustersAtOnce.TryGetValue(shape, out var clusters))
        {
            var function = _device.Modules.Get(CudaKernels.GemmStream(input, output, shape, gated), shape.SharedBytes);
            var grid = new CudaGrid(shape.Parts, 1, 1, StreamShape.Threads, shape.SharedBytes, shape.Parts);
            _clustersAtOnce[shape] = clusters = _device.ClustersAtOnce(function, grid);
        }

        return clusters;
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
