using System.Runtime.InteropServices;
using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Worker.Devices;
using TensorParallel.Worker.Ops;
using TensorParallel.Worker.Ops.Cpu;

namespace TensorParallel.Benchmarks.Ops;

/// <summary>
/// Attention of one layer of Llama-3.2-1B: 32 query heads over 8 KV heads of 64, blocks of 16 tokens.
/// </summary>
internal static class AttentionBenchmark
{
    private const int BlockTokens = 16;

    private static readonly HeadLayout s_heads = new(0, 32, 0, 8, 4, 64);

    /// <summary>Prints decode and prefill rates.</summary>
    public static void Run(int threads)
    {
        foreach (var dtype in (DType[])[DType.BF16, DType.F32])
        {
            foreach (var context in (int[])[128, 1024, 8192])
            {
                Print(threads, dtype, context, 1);
            }

            foreach (var (context, rows) in ((int, int)[])[(128, 128), (1024, 1024), (8192, 128)])
            {
                Print(threads, dtype, context, rows);
            }
        }
    }

    private static void Print(int threads, DType dtype, int context, int rows)
    {
        using var device = new CpuDevice("cpu:0", threads, long.MaxValue);
        using var ops = new CpuOps(device);
        IDevice allocator = device;
        var cacheRows = (context + BlockTokens - 1) / BlockTokens * BlockTokens * s_heads.KeyValueHeads;
        var bytes = 2.0 * cacheRows * s_heads.HeadDim * dtype.SizeInBytes();

        // Decode walks through copies of the cache, as through the layers of a model, so that it reads memory.
        var layers = rows == 1 ? (int)Math.Max(1, (256 << 20) / bytes) : 1;
        var caches = Enumerable.Range(0, layers).Select(_ =>
        {
            var keys = allocator.AllocateTensor(dtype, cacheRows, s_heads.HeadDim, MemoryPurpose.KvCache);
            var values = allocator.AllocateTensor(dtype, cacheRows, s_heads.HeadDim, MemoryPurpose.KvCache);
            MatMulBenchmark.Fill(device, keys.Buffer, dtype);
            MatMulBenchmark.Fill(device, values.Buffer, dtype);
            return new KvLayerView(keys, values, s_heads.KeyValueHeads, s_heads.HeadDim, BlockTokens);
        }).ToArray();
        var fused = allocator.AllocateTensor(DType.F32, rows, s_heads.FusedColumns, MemoryPurpose.Workspace);
        MatMulBenchmark.Fill(device, fused.Buffer, DType.F32);
        var columns = s_heads.QueryHeads * s_heads.HeadDim;
        var output = allocator.AllocateTensor(DType.F32, rows, columns, MemoryPurpose.Workspace);
        var step = new StepRows(
            rows, 1, Integers(device, Enumerable.Range(context - rows, rows)), Integers(device, new int[rows]),
            Integers(device, [0, rows]), Integers(device, Enumerable.Range(0, cacheRows / BlockTokens / 8)), context,
            rows);
        var next = 0;
        var seconds = Best.Of(() =>
        {
            ops.Attention(fused, s_heads, new AttentionOptions(0.125f), step, caches[next], output);
            next = (next + 1) % layers;
        }).Seconds;
        var pairs = rows * (context - ((rows - 1) / 2.0));
        var flops = 4.0 * pairs * columns / seconds / 1e9;
        Console.WriteLine(
            $"  {dtype,-4} context {context,4}  rows {rows,4}  {seconds * 1e6,9:F0} µs  " +
            $"{bytes / seconds / 1e9,6:F1} GB/s  {flops,6:F0} GFLOP/s");
    }

    private static Tensor Integers(CpuDevice device, IEnumerable<int> values)
    {
        var array = values.ToArray();
        var tensor = ((IDevice)device).AllocateTensor(DType.I32, 1, array.Length, MemoryPurpose.Workspace);
        device.CopyToDevice(MemoryMarshal.AsBytes(array.AsSpan()), tensor.Buffer, 0);
        return tensor;
    }
}
