using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Worker.Devices;

namespace TensorParallel.Worker.Ops.Cpu;

internal sealed unsafe partial class CpuOps
{
    public void TokenIds(Tensor given, Tensor slots, Tensor lastTokens, Tensor ids)
    {
        Operand.Check(_device, ids, DType.I32, 1, ids.Columns);
        Operand.Check(_device, given, DType.I32, 1, ids.Columns);
        Operand.Check(_device, slots, DType.I32, 1, ids.Columns);
        Operand.Check(_device, lastTokens, DType.I32, 1, lastTokens.Columns);
        var tokens = Integers(given);
        var places = Integers(slots);
        var last = Integers(lastTokens);
        var target = new Span<int>((void*)ids.Address, ids.Columns);
        for (var t = 0; t < target.Length; t++)
        {
            if (places[t] >= last.Length)
            {
                throw new ArgumentException($"slots holds {places[t]}, but there are {last.Length}.", nameof(slots));
            }

            target[t] = tokens[t] >= 0 ? tokens[t] : places[t] < 0 ? -1 : last[places[t]];
        }
    }

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
