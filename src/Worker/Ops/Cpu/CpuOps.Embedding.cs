using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Worker.Devices;

namespace TensorParallel.Worker.Ops.Cpu;

internal sealed unsafe partial class CpuOps
{
    public void Embedding(Tensor table, Tensor ids, int firstRow, Tensor output)
    {
        Operand.CheckFloat(_device, table, table.Rows, output.Columns);
        Operand.Check(_device, ids, DType.I32, 1, output.Rows);
        Operand.Check(_device, output, DType.F32, output.Rows, output.Columns);
        RunRows(output.Rows, output.Columns, new EmbeddingWork(_kernels, table, ids, firstRow, output));
    }

    private readonly struct EmbeddingWork(CpuKernels kernels, Tensor table, Tensor ids, int firstRow, Tensor output)
        : ICpuWork
    {
        public void Run(int part, int thread)
        {
            var target = Row(output, part);
            var row = (long)((int*)ids.Address)[part] - firstRow;
            if (row < 0 || row >= table.Rows)
            {
                new Span<float>(target, output.Columns).Clear();
                return;
            }

            kernels.Widen(RowBytes(table, (int)row), table.DType, target, output.Columns);
        }
    }
}
