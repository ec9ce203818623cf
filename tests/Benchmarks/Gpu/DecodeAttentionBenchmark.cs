using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Worker.Devices;
using TensorParallel.Worker.Ops;
using TensorParallel.Worker.Ops.Cuda;

namespace TensorParallel.Benchmarks.Gpu;

/// <summary>
/// Attention of one new row a sequence, by the join of its parts and with early reads or without; the choice by shape, alone, after rope and
/// with rope's work done on the way; bytes of keys and values a second of the choice alone; by memory with one block and with two on a
/// multiprocessor.
/// </summary>
internal static class DecodeAttentionBenchmark
{
    public static void Run(GpuBench bench)
    {
        Console.WriteLine("query/KV heads of 128, us:              memory, late    memory   cluster |    choice   GB/s  rope, choice  rotating | one block  two blocks");
        var cosSin = ((IDevice)bench.Device).AllocateTensor(DType.F32, 32768, 128, MemoryPurpose.Workspace);
        bench.Device.Clear(cosSin.Buffer, 0, cosSin.Buffer.Bytes);
        foreach (var (queryHeads, kvHeads) in ((int, int)[])[(32, 8), (16, 4), (8, 2)])
        {
            foreach (var (sequences, context) in ((int, int)[])[
                (1, 640), (1, 1024), (1, 2048), (1, 4096), (1, 8192), (1, 32768), (4, 640), (16, 1024), (32, 1024), (64, 576), (64, 1024)])
            {
                var heads = new HeadLayout(0, queryHeads, 0, kvHeads, queryHeads / kvHeads, 128);
                var bytes = 2L * sequences * context * kvHeads * 128 * 2;
                var steps = Enumerable.Range(0, GpuBench.Copies(bytes))
                    .Select(_ => new PagedStep(bench, heads, sequences, context - 1, 1)).ToArray();
                var fused = bench.Random(sequences, heads.FusedColumns);
                var output = bench.Random(sequences, queryHeads * 128);
                var options = new AttentionOptions(0.088f);
                double Time(DecodeJoin? join, bool early, Action<PagedStep> issue)
                {
                    (bench.Ops.DecodeJoin, bench.Ops.ReadsEarly) = (join, early);
                    return bench.Microseconds(Math.Max(16, steps.Length), i => issue(steps[i % steps.Length]));
                }

                void Attend(PagedStep step) => bench.Ops.Attention(fused, heads, options, step.Rows, step.Cache, output);
                var line = $"decode attention {queryHeads,3}/{kvHeads,-2} {sequences,3} x {context,-6}      {Time(DecodeJoin.Memory, false, Attend),9:F2}";
                line += $" {Time(DecodeJoin.Memory, true, Attend),9:F2} {Time(DecodeJoin.Cluster, true, Attend),9:F2} |";
                var time = Time(null, true, Attend);
                line += $" {time,9:F2} {bytes / time / 1e3,6:F0}";
                time = Time(null, true, step =>
                {
                    bench.Ops.RopeAndWriteKv(fused, heads, cosSin, step.Rows, step.Cache);
                    Attend(step);
                });
                line += $"     {time,9:F2}";
                time = Time(null, true, step =>
                    bench.Ops.RotateAndAttend(fused, heads, cosSin, options, step.Rows, step.Cache, output));
                line += $" {time,9:F2} |";
                foreach (var blocks in (int[])[1, 2])
                {
                    bench.Ops.DecodeBlocksEach = blocks;
                    line += $" {Time(DecodeJoin.Memory, true, Attend),9:F2}";
                }

                bench.Ops.DecodeBlocksEach = null;
                Console.WriteLine(line);
                foreach (var step in steps)
                {
                    step.Dispose();
                }

                fused.Buffer.Dispose();
                output.Buffer.Dispose();
            }
        }

        cosSin.Buffer.Dispose();
    }
}
