using TensorParallel.Protocol.Architectures;
using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Worker.Devices;
using TensorParallel.Worker.Ops;

namespace TensorParallel.Benchmarks.Gpu;

/// <summary>
/// One decode step of the 8B shape as a graph, on one GPU, with the sizes of one rank of 1, 2 and 4: what the kernels and the gaps
/// between them take. Without all-reduces, sampling and the host.
/// </summary>
internal static class DecodeStepBenchmark
{
    private const int Layers = 32;
    private const int Hidden = 4096;

    public static void Run(GpuBench bench)
    {
        Console.WriteLine("decode step, 8B shape, context 640: us, tok/s, GB/s of weights");
        foreach (var ranks in (int[])[1, 2, 4])
        {
            using var step = new Step(bench, ranks, 640);
            foreach (var batch in (int[])[1, 4, 16, 64])
            {
                var time = step.Time(batch);
                Console.WriteLine(
                    $"rank of {ranks}, batch {batch,2}: {time,8:F1} us {batch * 1e6 / time,8:F1} tok/s {step.WeightBytes / time / 1e3,6:F0} GB/s");
            }
        }
    }

    /// <summary>Batch 1 by the percentage of fast memory that kernels ask for as shared memory, whole and cut.</summary>
    public static void RunCarveouts(GpuBench bench)
    {
        const int DriversChoice = -1;
        int[] choices = [DriversChoice, 28, 44, 50, 58, 72, 86, 100];
        var own = bench.Device.Modules.Carveout;
        Console.WriteLine("decode step, batch 1, us by carve-out: " + string.Join(", ", choices.Select(c => c == DriversChoice ? "driver" : $"{c}")));
        foreach (var ranks in (int[])[1, 2, 4])
        {
            using var step = new Step(bench, ranks, 640);
            var line = $"rank of {ranks}:";
            foreach (var choice in choices)
            {
                bench.Device.Modules.SetCarveout(choice);
                line += $" {step.Time(1),8:F1}";
            }

            Console.WriteLine(line);
        }

        bench.Device.Modules.SetCarveout(own);
    }

    /// <summary>Batch 1 with and without each fusion, and by the weight rows of a block: what each is worth inside a step.</summary>
    public static void RunFusions(GpuBench bench)
    {
        (string Name, bool Rotation, bool Activation, int? Rows)[] choices =
        [
            ("all", true, true, null), ("rotation", true, false, null), ("activation", false, true, null), ("none", false, false, null),
            ("all, 2 rows", true, true, 2), ("all, 4 rows", true, true, 4), ("all, 8 rows", true, true, 8),
        ];
        Console.WriteLine("decode step, batch 1, us with " + string.Join(" | ", choices.Select(c => c.Name)));
        var own = (bench.Ops.FusesRotation, bench.Ops.FusesActivation);
        foreach (var ranks in (int[])[1, 2, 4])
        {
            using var step = new Step(bench, ranks, 640);
            var line = $"rank of {ranks}:";
            foreach (var (_, rotation, activation, rows) in choices)
            {
                (bench.Ops.FusesRotation, bench.Ops.FusesActivation, bench.Ops.FewWeightRows) = (rotation, activation, rows);
                line += $" {step.Time(1),8:F1}";
            }

            Console.WriteLine(line);
        }

        (bench.Ops.FusesRotation, bench.Ops.FusesActivation, bench.Ops.FewWeightRows) = (own.FusesRotation, own.FusesActivation, null);
    }

    /// <summary>Batches that gemm_stream.cu can serve, with and without it, by carve-out.</summary>
    public static void RunStreamed(GpuBench bench)
    {
        var own = bench.Device.Modules.Carveout;
        foreach (var ranks in (int[])[1, 2, 4])
        {
            using var step = new Step(bench, ranks, 640);
            foreach (var batch in (int[])[3, 4, 8, 16, 24, 32, 48, 64])
            {
                var line = $"rank of {ranks}, batch {batch,2}, us:";
                foreach (var carveout in (int[])[own, 100])
                {
                    bench.Device.Modules.SetCarveout(carveout);
                    bench.Ops.StreamsProducts = false;
                    line += $" | {carveout} without {step.Time(batch),8:F1}";
                    bench.Ops.StreamsProducts = true;
                    line += $" streamed {step.Time(batch),8:F1}";
                }

                Console.WriteLine(line);
            }
        }

        bench.Device.Modules.SetCarveout(own);
        bench.Ops.StreamsProducts = null;
    }

    private sealed class Step : IDisposable
    {
        private readonly GpuBench _bench;
        private readonly HeadLayout _heads;
        private readonly int _intermediate;
        private readonly int _context;
        private readonly List<Tensor> _owned = [];
        private readonly Tensor[][] _layers;
        private readonly Tensor _head;
        private readonly Tensor _norm;
        private readonly Tensor _cosSin;

        public Step(GpuBench bench, int ranks, int context)
        {
            _bench = bench;
            _context = context;
            _heads = new HeadLayout(0, 32 / ranks, 0, 8 / ranks, 4, 128);
            _intermediate = 14336 / ranks;
            _layers = [.. Enumerable.Range(0, Layers).Select(_ => new[]
            {
                Weight(_heads.FusedColumns, Hidden), Weight(Hidden, _heads.QueryHeads * 128),
                Weight(2 * _intermediate, Hidden), Weight(Hidden, _intermediate),
            })];
            _head = Weight(128256 / ranks, Hidden);
            _norm = Weight(1, Hidden);
            _cosSin = Owned(((IDevice)bench.Device).AllocateTensor(DType.F32, 4096, 128, MemoryPurpose.Workspace));
            bench.Device.Clear(_cosSin.Buffer, 0, _cosSin.Buffer.Bytes);
            WeightBytes = _owned.Where(t => t.DType == DType.BF16).Sum(t => t.Buffer.Bytes);
        }

        public long WeightBytes { get; }

        public double Time(int batch)
        {
            using var paged = new PagedStep(_bench, _heads, batch, _context - 1, 1);
            var table = _bench.Random(1000, Hidden);
            var ids = _bench.Integers(1, [.. Enumerable.Range(0, batch)]);
            var residual = _bench.Random(batch, Hidden);
            var delta = _bench.Random(batch, Hidden);
            var normed = _bench.Random(batch, Hidden);
            var fused = _bench.Random(batch, _heads.FusedColumns);
            var attended = _bench.Random(batch, _heads.QueryHeads * 128);
            var gateUp = _bench.Random(batch, 2 * _intermediate);
            var gated = _bench.Random(batch, _intermediate);
            var logits = ((IDevice)_bench.Device).AllocateTensor(DType.F32, batch, _head.Rows, MemoryPurpose.Workspace);
            var options = new AttentionOptions(0.088f);
            var ops = _bench.Ops;
            var time = _bench.Microseconds(1, _ =>
            {
                ops.Embedding(table, ids, 0, residual);
                ops.RmsNorm(residual, _norm, 1e-5f, normed);
                foreach (var layer in _layers)
                {
                    ops.MatMul(normed, layer[0], null, fused);
                    ops.RotateAndAttend(fused, _heads, _cosSin, options, paged.Rows, paged.Cache, attended);
                    ops.MatMul(attended, layer[1], null, delta);
                    ops.AddRmsNorm(residual, delta, _norm, 1e-5f, normed);
                    ops.MatMulGated(normed, layer[2], null, ActivationKind.Silu, gateUp, gated);
                    ops.MatMul(gated, layer[3], null, delta);
                    ops.AddRmsNorm(residual, delta, _norm, 1e-5f, normed);
                }

                ops.MatMul(normed, _head, null, logits);
            });
            foreach (var tensor in (Tensor[])[table, ids, residual, delta, normed, fused, attended, gateUp, gated, logits])
            {
                tensor.Buffer.Dispose();
            }

            return time;
        }

        public void Dispose()
        {
            foreach (var tensor in _owned)
            {
                tensor.Buffer.Dispose();
            }
        }

        private Tensor Weight(int rows, int columns) => Owned(_bench.Random(rows, columns, MemoryPurpose.Weights));

        private Tensor Owned(Tensor tensor)
        {
            _owned.Add(tensor);
            return tensor;
        }
    }
}
