using TensorParallel.Protocol.Architectures;
using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Worker.Devices;
using TensorParallel.Worker.Ops;

namespace TensorParallel.Benchmarks.Gpu;

/// <summary>The small operations around the products: microseconds inside a graph.</summary>
internal static class RowsBenchmark
{
    public static void Run(GpuBench bench)
    {
        var device = (IDevice)bench.Device;
        Console.WriteLine("us a launch                add_norm  rope+kv  gate*up  embedding");
        foreach (var rows in (int[])[1, 16, 64, 512, 2048])
        {
            var (x, delta, output) = (bench.Random(rows, 4096), bench.Random(rows, 4096), bench.Random(rows, 4096));
            var weight = bench.Random(1, 4096);
            var norm = bench.Microseconds(50, _ => bench.Ops.AddRmsNorm(x, delta, weight, 1e-5f, output));

            var heads = new HeadLayout(0, 32, 0, 8, 4, 128);
            using var step = new PagedStep(bench, heads, 1, 0, rows);
            var fused = bench.Random(rows, heads.FusedColumns);
            var cosSin = device.AllocateTensor(DType.F32, 4096, 128, MemoryPurpose.Workspace);
            device.Clear(cosSin.Buffer, 0, cosSin.Buffer.Bytes);
            var rope = bench.Microseconds(50, _ => bench.Ops.RopeAndWriteKv(fused, heads, cosSin, step.Rows, step.Cache));

            var (gateUp, gated) = (bench.Random(rows, 28672), bench.Random(rows, 14336));
            var activation = bench.Microseconds(50, _ => bench.Ops.GatedActivation(
                gateUp.ColumnsAt(0, 14336), gateUp.ColumnsAt(14336, 14336), ActivationKind.Silu, gated));

            var table = bench.Random(32000, 4096);
            var ids = bench.Integers(1, [.. Enumerable.Range(0, rows).Select(i => i * 37 % 32000)]);
            var embedding = bench.Microseconds(50, _ => bench.Ops.Embedding(table, ids, 0, output));
            Console.WriteLine($"{rows,5} rows               {norm,9:F2} {rope,8:F2} {activation,8:F2} {embedding,10:F2}");
            foreach (var tensor in (Tensor[])[x, delta, output, weight, fused, cosSin, gateUp, gated, table, ids])
            {
                tensor.Buffer.Dispose();
            }
        }
    }
}
