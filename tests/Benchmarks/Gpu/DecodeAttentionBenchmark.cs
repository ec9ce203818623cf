using TensorParallel.Worker.Ops;

namespace TensorParallel.Benchmarks.Gpu;

/// <summary>Attention of one new row a sequence: bytes of keys and values a second.</summary>
internal static class DecodeAttentionBenchmark
{
    public static void Run(GpuBench bench)
    {
        Console.WriteLine("query/KV heads of 128, sequences x context:          us   GB/s");
        foreach (var (queryHeads, kvHeads) in ((int, int)[])[(32, 8), (16, 4), (8, 2)])
        {
            foreach (var (sequences, context) in ((int, int)[])[(1, 640), (1, 2048), (1, 8192), (1, 32768), (16, 1024), (64, 1024)])
            {
                var heads = new HeadLayout(0, queryHeads, 0, kvHeads, queryHeads / kvHeads, 128);
                var bytes = 2L * sequences * context * kvHeads * 128 * 2;
                var steps = Enumerable.Range(0, GpuBench.Copies(bytes))
                    .Select(_ => new PagedStep(bench, heads, sequences, context - 1, 1)).ToArray();
                var fused = bench.Random(sequences, heads.FusedColumns);
                var output = bench.Random(sequences, queryHeads * 128);
                var options = new AttentionOptions(0.088f);
                var time = bench.Microseconds(Math.Max(16, steps.Length), i =>
                {
                    var step = steps[i % steps.Length];
                    bench.Ops.Attention(fused, heads, options, step.Rows, step.Cache, output);
                });
                Console.WriteLine(
                    $"decode attention {queryHeads,3}/{kvHeads,-2} {sequences,3} x {context,-6}             {time,9:F2} {bytes / time / 1e3,6:F0}");
                foreach (var step in steps)
                {
                    step.Dispose();
                }

                fused.Buffer.Dispose();
                output.Buffer.Dispose();
            }
        }
    }
}
