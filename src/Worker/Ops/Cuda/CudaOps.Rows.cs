using TensorParallel.Protocol.Architectures;
using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Worker.Devices;

namespace TensorParallel.Worker.Ops.Cuda;

internal sealed partial class CudaOps
{
    // Threads of rms_norm.cu.
    private const int NormThreads = 512;

    // Largest grid in y.
    private const int MaxGridRows = 65535;

    public void TokenIds(Tensor given, Tensor slots, Tensor lastTokens, Tensor ids)
    {
        CudaOperand.Check(_device, ids, DType.I32, 1, ids.Columns);
        CudaOperand.Check(_device, given, DType.I32, 1, ids.Columns);
        CudaOperand.Check(_device, slots, DType.I32, 1, ids.Columns);
        CudaOperand.Check(_device, lastTokens, DType.I32, 1, lastTokens.Columns);
        if (ids.Columns == 0)
        {
            return;
        }

        var arguments = new CudaArguments.TokenIds
        {
            Given = given.Address,
            Slots = slots.Address,
            LastTokens = lastTokens.Address,
            Ids = ids.Address,
            Tokens = ids.Columns,
        };
        var grid = new CudaGrid(CeilDiv(ids.Columns, RowThreads), 1, 1, RowThreads);
        _device.Launch(_device.Modules.Get(CudaKernels.TokenIds), grid, arguments);
    }

    public void Embedding(Tensor table, Tensor ids, int firstRow, Tensor output)
    {
        CudaOperand.CheckFloat(_device, table, table.Rows, output.Columns);
        CudaOperand.Check(_device, ids, DType.I32, 1, output.Rows);
        CudaOperand.CheckFloat(_device, output, output.Rows, output.Columns);
        if (output.Rows == 0 || output.Columns == 0)
        {
            return;
        }

        var wide = CudaOperand.IsWide(table) && CudaOperand.IsWide(output);
        var arguments = new CudaArguments.Embedding
        {
            Table = table.Address,
            Ids = ids.Address,
            Output = output.Address,
            TableStride = table.RowStride,
            OutputStride = output.RowStride,
            FirstRow = firstRow,
            TableRows = table.Rows,
            Columns = output.Columns,
            Wide = wide ? 1 : 0,
        };
        var kernel = _device.Modules.Get(CudaKernels.Embedding(output.DType, table.DType));
        _device.Launch(kernel, new CudaGrid(output.Rows, ColumnBlocks(output.Columns, wide), 1, RowThreads), arguments);
    }

    public void RmsNorm(Tensor x, Tensor weight, float epsilon, Tensor output) =>
        Norm("rms_norm", x, null, weight, epsilon, output);

    public void AddRmsNorm(Tensor residual, Tensor delta, Tensor weight, float epsilon, Tensor output) =>
        Norm("add_rms_norm", residual, delta, weight, epsilon, output);

    public void Add(Tensor target, Tensor source)
    {
        CudaOperand.CheckFloat(_device, target, target.Rows, target.Columns);
        CudaOperand.Check(_device, source, target.DType, target.Rows, target.Columns);
        var wide = CudaOperand.IsWide(target) && CudaOperand.IsWide(source);
        LaunchRows("add", source, default, target, wide, 0);
    }

    public void GatedActivation(Tensor gate, Tensor up, ActivationKind activation, Tensor output)
    {
        CudaOperand.CheckFloat(_device, output, output.Rows, output.Columns);
        CudaOperand.Check(_device, gate, output.DType, output.Rows, output.Columns);
        CudaOperand.Check(_device, up, output.DType, output.Rows, output.Columns);
        var wide = CudaOperand.IsWide(gate) && CudaOperand.IsWide(up) && CudaOperand.IsWide(output);
        LaunchRows("gated_activation", gate, (up.Address, up.RowStride), output, wide, KindOf(activation));
    }

    public void GatherRows(Tensor x, Tensor indices, Tensor output)
    {
        CudaOperand.CheckFloat(_device, x, x.Rows, output.Columns);
        CudaOperand.Check(_device, indices, DType.I32, 1, output.Rows);
        CudaOperand.Check(_device, output, x.DType, output.Rows, output.Columns);
        LaunchRows(
            "gather_rows", x, (indices.Address, 0), output, CudaOperand.IsWide(x) && CudaOperand.IsWide(output), 0);
    }

    /// <summary>The number that activation.cuh has for it.</summary>
    private static int KindOf(ActivationKind activation) => activation switch
    {
        ActivationKind.Silu => 0,
        ActivationKind.Gelu => 1,
        ActivationKind.GeluTanh => 2,
        _ => throw new ArgumentException($"Activation {activation} is unknown.", nameof(activation)),
    };

    /// <summary>target[t] += bias.</summary>
    private void AddBias(Tensor target, Tensor bias) =>
        LaunchRows("add_bias", default, (bias.Address, 0), target, false, CudaElement.Code(bias.DType));

    /// <summary>output[t] = sums[t] + bias, rounded once. sums: F32.</summary>
    private void RoundWithBias(Tensor sums, Tensor bias, Tensor output) =>
        LaunchRows("round_with_bias", sums, (bias.Address, 0), output, false, CudaElement.Code(bias.DType));

    private void Norm(string entry, Tensor x, Tensor? delta, Tensor weight, float epsilon, Tensor output)
    {
        CudaOperand.CheckFloat(_device, x, x.Rows, x.Columns);
        CudaOperand.CheckFloat(_device, weight, 1, x.Columns);
        CudaOperand.Check(_device, output, x.DType, x.Rows, x.Columns);
        var wide = CudaOperand.IsWide(x) && CudaOperand.IsWide(weight) && CudaOperand.IsWide(output);
        if (delta is { } added)
        {
            CudaOperand.Check(_device, added, x.DType, x.Rows, x.Columns, nameof(delta));
            wide &= CudaOperand.IsWide(added);
        }

        if (x.Rows == 0)
        {
            return;
        }

        var arguments = new CudaArguments.RmsNorm
        {
            X = x.Address,
            Delta = delta?.Address ?? 0,
            Weight = weight.Address,
            Output = output.Address,
            XStride = x.RowStride,
            DeltaStride = delta?.RowStride ?? 0,
            OutputStride = output.RowStride,
            Columns = x.Columns,
            Wide = wide ? 1 : 0,
            Epsilon = epsilon,
        };
        var kernel = _device.Modules.Get(CudaKernels.RmsNorm(entry, x.DType, weight.DType));
        _device.Launch(kernel, new CudaGrid(x.Rows, 1, 1, NormThreads), arguments);
    }

    private void LaunchRows(string entry, Tensor a, (nint Address, long Stride) b, Tensor output, bool wide, int kind)
    {
        if (output.Rows == 0 || output.Columns == 0)
        {
            return;
        }

        var arguments = new CudaArguments.Elementwise
        {
            A = a.Buffer is null ? 0 : a.Address,
            B = b.Address,
            Output = output.Address,
            AStride = a.RowStride,
            BStride = b.Stride,
            OutputStride = output.RowStride,
            Rows = output.Rows,
            Columns = output.Columns,
            Wide = wide ? 1 : 0,
            Kind = kind,
        };
        var kernel = _device.Modules.Get(CudaKernels.Elementwise(entry, output.DType));
        var grid = new CudaGrid(
            ColumnBlocks(output.Columns, wide), Math.Min(output.Rows, MaxGridRows), 1, RowThreads);
        _device.Launch(kernel, grid, arguments);
    }

    private static int ColumnBlocks(int columns, bool wide) => CeilDiv(columns, RowThreads * (wide ? 8 : 1));
}
