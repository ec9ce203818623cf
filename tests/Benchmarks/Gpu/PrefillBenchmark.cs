using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Worker.Devices;
using TensorParallel.Worker.Ops;

namespace TensorParallel.Benchmarks.Gpu;

/// <summary>Products and attention of many rows: arithmetic a second.</summary>
internal static class PrefillBenchmark
{
    public static void Run(GpuBench bench)
    {
        foreach (var tokens in (int[])[64, 512, 2048, 8192])
        {
            foreach (var (rows, columns) in ((int, int)[])[(6144, 4096), (4096, 4096), (28672, 4096), (4096, 14336)])
            {
                var (x, weight) = (bench.Random(tokens, columns), bench.Random(rows, columns));
                var output = ((IDevice)bench.Device).AllocateTensor(DType.BF16, tokens, rows, MemoryPurpose.Workspace);
                var time = bench.Microseconds(8, _ => bench.Ops.MatMul(x, weight, null, output));
                Console.WriteLine(
                    $"product T={tokens,-5} {rows,6} x {columns,-6} {time,10:F1} us {2.0 * tokens * rows * columns / time / 1e6,6:F0} TFLOP/s");
                foreach (var tensor in (Tensor[])[x, weight, output])
                {
                    tensor.Buffer.Dispose();
                }
            }
        }

        foreach (var tokens in (int[])[512, 2048, 8192])
        {
            var heads = new HeadLayout(0, 32, 0, 8, 4, 128);
            using var step = new PagedStep(bench, heads, 1, 0, tokens);
            var (fused, output) = (bench.Random(tokens, heads.FusedColumns), bench.Random(tokens, 4096));
            var time = bench.Microseconds(
                4, _ => bench.Ops.Attention(fused, heads, new AttentionOptions(0.088f), step.Rows, step.Cache, output));

            // Two products over the lower triangle: 4 * T^2 / 2 * heads * size.
            var flops = 2.0 * tokens * tokens * 32 * 128;
            Console.WriteLine($"prefill attention T={tokens,-5} 32/8 heads {time,10:F1} us {flops / time / 1e6,6:F0} TFLOP/s");
            fused.Buffer.Dispose();
            output.Buffer.Dispose();
        }
    }
}
