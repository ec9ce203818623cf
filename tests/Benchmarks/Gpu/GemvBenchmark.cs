using TensorParallel.Protocol.Architectures;
using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Worker.Devices;
using TensorParallel.Worker.Ops.Cuda;

namespace TensorParallel.Benchmarks.Gpu;

/// <summary>Products of 1 to 32 rows with the 8B model's weights, whole and cut for 2 and 4 ranks: bytes of weights a second.</summary>
internal static class GemvBenchmark
{
    private static readonly (string Name, int Rows, int Columns)[] s_shapes =
    [
        ("qkv/1", 6144, 4096), ("qkv/2", 3072, 4096), ("qkv/4", 1536, 4096),
        ("o/1", 4096, 4096), ("o/2", 4096, 2048), ("o/4", 4096, 1024),
        ("gate_up/1", 28672, 4096), ("gate_up/2", 14336, 4096), ("gate_up/4", 7168, 4096),
        ("down/1", 4096, 14336), ("down/2", 4096, 7168), ("down/4", 4096, 3584),
        ("head/1", 128256, 4096), ("head/2", 64128, 4096), ("head/4", 32064, 4096),
    ];

    private static readonly int[] s_tokens = [1, 2, 4, 8, 16, 32];

    /// <summary>One row by each way there is: what the choice by shape rests on.</summary>
    public static void RunChoices(GpuBench bench)
    {
        int?[] choices = [null, 2, 4, 8, 0];
        Console.WriteLine("T=1           rows x columns " + string.Concat(choices.Select(c => $"| {Name(c),-14} ")) + "(us, GB/s)");
        foreach (var (name, rows, columns) in s_shapes)
        {
            var bytes = (long)rows * columns * 2;
            var weights = Enumerable.Range(0, GpuBench.Copies(bytes)).Select(_ => bench.Random(rows, columns)).ToArray();
            var (x, output) = (bench.Random(1, columns), bench.Random(1, rows));
            var line = $"{name,-10} {rows,7} x {columns,-7} ";
            foreach (var choice in choices)
            {
                bench.Ops.FewWeightRows = choice;
                var time = bench.Microseconds(
                    Math.Max(16, weights.Length), i => bench.Ops.MatMul(x, weights[i % weights.Length], null, output));
                line += $"|{time,9:F2} {bytes / time / 1e3,5:F0} ";
            }

            bench.Ops.FewWeightRows = null;
            Console.WriteLine(line);
            foreach (var tensor in weights.Append(x).Append(output))
            {
                tensor.Buffer.Dispose();
            }
        }

        Console.WriteLine("with the activation");
        foreach (var (name, rows, columns) in s_shapes.Where(s => s.Name.StartsWith("gate_up", StringComparison.Ordinal)))
        {
            var bytes = (long)rows * columns * 2;
            var weights = Enumerable.Range(0, GpuBench.Copies(bytes)).Select(_ => bench.Random(rows, columns)).ToArray();
            var (x, fused, output) = (bench.Random(1, columns), bench.Random(1, rows), bench.Random(1, rows / 2));
            var line = $"{name,-10} {rows,7} x {columns,-7} ";
            foreach (var choice in choices)
            {
                bench.Ops.FewWeightRows = choice;
                var time = bench.Microseconds(
                    Math.Max(16, weights.Length),
                    i => bench.Ops.MatMulGated(x, weights[i % weights.Length], null, ActivationKind.Silu, fused, output));
                line += $"|{time,9:F2} {bytes / time / 1e3,5:F0} ";
            }

            bench.Ops.FewWeightRows = null;
            Console.WriteLine(line);
            foreach (var tensor in weights.Append(x).Append(fused).Append(output))
            {
                tensor.Buffer.Dispose();
            }
        }

        static string Name(int? choice) => choice switch { null => "by shape", 0 => "tensor cores", _ => $"{choice} rows" };
    }

    /// <summary>Products of some rows by gemm_stream.cu, its rings, and numbers of parts, beside what else there is.</summary>
    public static void RunStream(GpuBench bench)
    {
        foreach (var (name, rows, columns) in s_shapes.Where(s => s.Name is not "head/1" and not "head/2"))
        {
            var bytes = (long)rows * columns * 2;
            var weights = Enumerable.Range(0, GpuBench.Copies(bytes)).Select(_ => bench.Random(rows, columns)).ToArray();
            foreach (var tokens in (int[])[4, 16, 32, 64])
            {
                var x = bench.Random(tokens, columns);
                var output = ((IDevice)bench.Device).AllocateTensor(DType.BF16, tokens, rows, MemoryPurpose.Workspace);
                double Time(bool streams, (int Stages, int Parts)? cut)
                {
                    (bench.Ops.StreamsProducts, bench.Ops.StreamCut) = (streams, cut);
                    return bench.Microseconds(
                        Math.Max(16, weights.Length), i => bench.Ops.MatMul(x, weights[i % weights.Length], null, output));
                }

                var line = $"{name,-10} {rows,6} x {columns,-6} T={tokens,-3} bytes {bytes / 4.3e6,5:F1} | without {Time(false, null),6:F2} | by shape {Time(true, null),6:F2}";
                var room = StreamShape.Sizes.First(size => tokens <= size);
                foreach (var shares in (bool[])[false, true])
                {
                    var stages = StreamShape.StagesOf(room, shares);
                    foreach (var parts in (int[])[1, 2, 3, 4, 8])
                    {
                        line += parts <= columns / 128 && parts * rows / 128 < 600 ? $" | {stages}, {parts}: {Time(true, (stages, parts)),6:F2}" : "";
                    }
                }

                Console.WriteLine(line);
                x.Buffer.Dispose();
                output.Buffer.Dispose();
            }

            foreach (var weight in weights)
            {
                weight.Buffer.Dispose();
            }
        }

        (bench.Ops.StreamsProducts, bench.Ops.StreamCut) = (null, null);
    }

    public static void Run(GpuBench bench)
    {
        Console.WriteLine("weight        rows x columns " + string.Concat(s_tokens.Select(t => $"|   T={t,-2} us  GB/s ")));
        foreach (var (name, rows, columns) in s_shapes)
        {
            var bytes = (long)rows * columns * 2;
            var weights = Enumerable.Range(0, GpuBench.Copies(bytes)).Select(_ => bench.Random(rows, columns)).ToArray();
            var line = $"{name,-10} {rows,7} x {columns,-7} ";
            foreach (var tokens in s_tokens)
            {
                var x = bench.Random(tokens, columns);
                var output = ((IDevice)bench.Device).AllocateTensor(DType.BF16, tokens, rows, MemoryPurpose.Workspace);
                var time = bench.Microseconds(
                    Math.Max(16, weights.Length), i => bench.Ops.MatMul(x, weights[i % weights.Length], null, output));
                line += $"|{time,9:F2} {bytes / time / 1e3,5:F0} ";
                x.Buffer.Dispose();
                output.Buffer.Dispose();
            }

            Console.WriteLine(line);
            foreach (var weight in weights)
            {
                weight.Buffer.Dispose();
            }
        }
    }
}
