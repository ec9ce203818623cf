using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Worker.Devices;

namespace TensorParallel.Worker.Ops.Cpu;

internal sealed unsafe partial class CpuOps
{
    public void Add(Tensor target, Tensor source)
    {
        Operand.Check(_device, target, DType.F32, target.Rows, target.Columns);
        Operand.Check(_device, source, DType.F32, target.Rows, target.Columns);
        RunRows(target.Rows, target.Columns, new AddWork(_kernels, target, source));
    }

    public void GatherRows(Tensor x, Tensor indices, Tensor output)
    {
        Operand.CheckMemory(_device, x);
        Operand.Check(_device, indices, DType.I32, 1, output.Rows);
        Operand.Check(_device, output, x.DType, output.Rows, x.Columns);
        var rows = new ReadOnlySpan<int>((void*)indices.Address, output.Rows);
        foreach (var row in rows)
        {
            if ((uint)row >= (uint)x.Rows)
            {
                throw new ArgumentException($"indices holds {row}, but x has {x.Rows} rows.", nameof(indices));
            }
        }

        var bytes = x.Columns * x.DType.SizeInBytes();
        for (var i = 0; i < rows.Length; i++)
        {
            new ReadOnlySpan<byte>(RowBytes(x, rows[i]), bytes).CopyTo(new Span<byte>(RowBytes(output, i), bytes));
        }
    }

    private readonly struct AddWork(CpuKernels kernels, Tensor target, Tensor source) : ICpuWork
    {
        public void Run(int part, int thread) => kernels.Add(Row(target, part), Row(source, part), target.Columns);
    }
}
