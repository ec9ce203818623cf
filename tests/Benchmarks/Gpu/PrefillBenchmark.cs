using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Worker.Devices;
using TensorParallel.Worker.Ops;
using TensorParallel.Worker.Ops.Cuda;

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

        RunAttention(bench);
    }

    /// <summary>Attention alone, by each kernel: whole prompts, chunks after an earlier context, other head sizes, several prompts.</summary>
    public static void RunAttention(GpuBench bench)
    {
        (PrefillMethod Method, PrefillSpread Spread)[] ways =
        [
            (PrefillMethod.Mma, PrefillSpread.Together), (PrefillMethod.Wgmma, PrefillSpread.Together),
            (PrefillMethod.Wgmma, PrefillSpread.Mirrored), (PrefillMethod.Wgmma, PrefillSpread.Apart),
        ];
        Console.WriteLine($"prefill attention: us and TFLOP/s by {string.Join(", ", ways)}");
        foreach (var (queryHeads, kvHeads, size, sequences, past, tokens) in ((int, int, int, int, int, int)[])[
            (32, 8, 128, 1, 0, 512), (32, 8, 128, 1, 0, 2048), (32, 8, 128, 1, 0, 8192), (32, 8, 128, 1, 7680, 512),
            (32, 8, 128, 8, 0, 512), (8, 2, 128, 1, 0, 512), (8, 2, 128, 1, 0, 2048),
            (8, 2, 128, 1, 6144, 2048), (16, 4, 128, 1, 0, 2048), (32, 8, 64, 1, 0, 2048), (32, 8, 96, 1, 0, 2048), (16, 8, 256, 1, 0, 2048)])
        {
            var heads = new HeadLayout(0, queryHeads, 0, kvHeads, queryHeads / kvHeads, size);
            using var step = new PagedStep(bench, heads, sequences, past, tokens);
            var rows = sequences * tokens;
            var (fused, output) = (bench.Random(rows, heads.FusedColumns), bench.Random(rows, queryHeads * size));

            // Two products of 2 operations over the tokens that each row sees.
            var flops = 4.0 * sequences * tokens * (past + ((tokens + 1) / 2.0)) * queryHeads * size;
            var line = $"{queryHeads,2}/{kvHeads} of {size,-3} {sequences} x {tokens,-5} after {past,-5}";
            foreach (var (method, spread) in ways)
            {
                (bench.Ops.PrefillMethod, bench.Ops.PrefillSpread) = (method, spread);
                var time = bench.Microseconds(
                    4, _ => bench.Ops.Attention(
                        fused, heads, new AttentionOptions(1 / MathF.Sqrt(size)), step.Rows, step.Cache, output));
                line += $" |{time,9:F1} {flops / time / 1e6,4:F0}";
            }

            (bench.Ops.PrefillMethod, bench.Ops.PrefillSpread) = (null, null);
            Console.WriteLine(line);
            fused.Buffer.Dispose();
            output.Buffer.Dispose();
        }
    }
}
