using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Worker.Devices;

namespace TensorParallel.Worker.Ops.Cpu;

internal sealed unsafe partial class CpuOps
{
    public void MatMul(Tensor x, Tensor weight, Tensor? bias, Tensor output)
    {
        Operand.Check(_device, x, DType.F32, output.Rows, x.Columns);
        Operand.CheckFloat(_device, weight, output.Columns, x.Columns);
        Operand.Check(_device, output, DType.F32, output.Rows, output.Columns);
        if (bias is { } checkedBias)
        {
            Operand.CheckFloat(_device, checkedBias, 1, output.Columns, nameof(bias));
        }

        if (output.Rows == 0 || output.Columns == 0)
        {
            return;
        }

        var paddedColumns = _kernels.PaddedColumns(x.Columns);
        var job = new MatMulJob
        {
            Packed = PackTokens(x, paddedColumns),
            Tokens = x.Rows,
            Columns = x.Columns,
            Weight = RowBytes(weight, 0),
            WeightStride = (long)weight.RowStride * weight.DType.SizeInBytes(),
            WeightDType = weight.DType,
            Bias = bias is { } b ? WidenBias(b) : null,
            Output = Row(output, 0),
            OutputStride = output.RowStride,
        };
        var partRows = PartRows(output.Columns, x.Rows, x.Columns, weight.DType.SizeInBytes());
        var parts = (output.Columns + partRows - 1) / partRows;
        _device.Threads.Run(parts, new MatMulWork(_kernels, job, output.Columns, partRows));
    }

    /// <summary>
    /// Weight rows of a part: few enough that a block of their columns stays in the second cache while all tokens pass
    /// (128 KiB of it: 64 rows of 1 024 bfloat16), many enough that a part is worth taking (512 KiB where each row is
    /// read once), and parts enough that threads end together.
    /// </summary>
    private int PartRows(int rows, int tokens, int columns, int size)
    {
        var once = tokens <= 6;
        var bytes = once ? (long)columns * size : Math.Min(columns, MatMulJob.BlockColumns) * size;
        var most = (int)Math.Clamp((once ? 512 : 128) * 1024 / Math.Max(1, bytes), 8, 512);
        var even = (rows + (4 * _device.Threads.Count) - 1) / (4 * _device.Threads.Count);
        return (Math.Clamp(even, 4, most) + 3) / 4 * 4;
    }

    private float* PackTokens(Tensor x, int paddedColumns)
    {
        var groups = 0;
        var paddedRows = 0;
        for (int row = 0, group; row < x.Rows; row += group, groups++)
        {
            group = _kernels.GroupRows(x.Rows - row);
            paddedRows = row + group;
        }

        var packed = (float*)_packed.Demand(Math.Max(1, (long)paddedRows * paddedColumns) * sizeof(float));
        var rows = _kernels.GroupRows(x.Rows);
        var work = new PackWork(_kernels, x, packed, paddedColumns, rows, groups);
        RunRows(groups, rows * x.Columns, work);
        return packed;
    }

    private float* WidenBias(Tensor bias)
    {
        if (bias.DType == DType.F32)
        {
            return Row(bias, 0);
        }

        var widened = (float*)_shared.Demand((long)bias.Columns * sizeof(float));
        _kernels.Widen(RowBytes(bias, 0), bias.DType, widened, bias.Columns);
        return widened;
    }

    /// <summary>Part g packs group g; all groups but the last two have the size of the first.</summary>
    private readonly struct PackWork(
        CpuKernels kernels, Tensor x, float* packed, int paddedColumns, int groupRows, int groups) : ICpuWork
    {
        public void Run(int part, int thread)
        {
            var row = Math.Min(part, Math.Max(0, groups - 2)) * groupRows;
            for (var group = Math.Max(0, groups - 2); group < part; group++)
            {
                row += kernels.GroupRows(x.Rows - row);
            }

            var target = packed + ((long)row * paddedColumns);
            kernels.Pack(Row(x, row), x.RowStride, x.Rows - row, x.Columns, target, kernels.GroupRows(x.Rows - row));
        }
    }

    private readonly struct MatMulWork(CpuKernels kernels, MatMulJob job, int rows, int partRows) : ICpuWork
    {
        private readonly MatMulJob _job = job;

        public void Run(int part, int thread) =>
            kernels.MatMul(_job, part * partRows, Math.Min(rows, (part + 1) * partRows));
    }
}
