using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Worker.Devices;
using TensorParallel.Worker.Ops.Cpu.Kernels;

namespace TensorParallel.Worker.Ops.Cpu;

internal sealed unsafe partial class CpuOps
{
    public void RopeAndWriteKv(Tensor fused, HeadLayout heads, Tensor cosSin, StepRows rows, KvLayerView cache)
    {
        CheckHeads(heads);
        CheckRows(rows);
        Operand.Check(_device, fused, DType.F32, rows.Tokens, heads.FusedColumns);
        Operand.Check(_device, cosSin, DType.F32, cosSin.Rows, cosSin.Columns);
        CheckCache(heads, cache);
        CheckBlocks(rows, cache, window: 1);
        if (cosSin.Columns % 2 != 0 || cosSin.Columns > heads.HeadDim)
        {
            throw new ArgumentException(
                $"cosSin must have an even number of columns up to {heads.HeadDim}, but has {cosSin.Columns}.",
                nameof(cosSin));
        }

        foreach (var position in Integers(rows.Positions))
        {
            if (position >= cosSin.Rows)
            {
                throw new ArgumentException(
                    $"Position {position} is outside cosSin of {cosSin.Rows} rows.", nameof(rows));
            }
        }

        RunRows(rows.Tokens, heads.FusedColumns, new RopeWork(_kernels, fused, heads, cosSin, rows, cache));
    }

    private readonly struct RopeWork(
        CpuKernels kernels, Tensor fused, HeadLayout heads, Tensor cosSin, StepRows rows, KvLayerView cache) : ICpuWork
    {
        public void Run(int part, int thread)
        {
            var position = ((int*)rows.Positions.Address)[part];
            if (position < 0)
            {
                return;
            }

            var half = cosSin.Columns / 2;
            var cos = Row(cosSin, position);
            var x = Row(fused, part);
            for (var head = 0; head < heads.QueryHeads + heads.KeyValueHeads; head++)
            {
                kernels.Rotate(x + (head * heads.HeadDim), cos, cos + half, half);
            }

            var keys = x + (heads.QueryHeads * heads.HeadDim);
            var values = keys + (heads.KeyValueHeads * heads.HeadDim);
            var sequence = ((int*)rows.RowSequences.Address)[part];
            var block = ((int*)RowBytes(rows.BlockTables, sequence))[position / cache.BlockTokens];
            for (var head = 0; head < heads.KeyValueHeads; head++)
            {
                var row = ((((long)block * cache.Heads) + head) * cache.BlockTokens) + (position % cache.BlockTokens);
                Write(keys + (head * heads.HeadDim), cache.Keys, row);
                Write(values + (head * heads.HeadDim), cache.Values, row);
            }
        }

        private static void Write(float* source, Tensor target, long row)
        {
            var address = (byte*)target.Address + (row * target.RowStride * target.DType.SizeInBytes());
            Narrowing.Write(source, address, target.DType, target.Columns);
        }
    }
}
