using System.Runtime.InteropServices;
using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Protocol.Generation;
using TensorParallel.Protocol.Parallel;
using TensorParallel.Worker.Devices;
using TensorParallel.Worker.Ops;
using TensorParallel.Worker.Ops.Cpu;
using TensorParallel.Worker.Ops.Cuda;

namespace TensorParallel.Benchmarks.Gpu;

/// <summary>
/// Sampling of 128,256 tokens: microseconds of a summary, a choice and a commit inside a graph, and whether the CPU draws the same tokens.
/// Logits follow Zipf's law, exponent 1.5, which language models come near to; "flat": 0.7, where thousands of tokens make a nucleus.
/// </summary>
internal static class SamplingOpsBenchmark
{
    private const int Vocabulary = 128_256;

    public static void Run(GpuBench bench)
    {
        Console.WriteLine("us a step (summarise + choose + commit)      1 row   16 rows   64 rows   of which summarise");
        var plain = new SamplingParameters { Temperature = 0.8f, Seed = 7 };
        Measure(bench, "greedy", 1.5f, new SamplingParameters(), new SummaryLayout(1, 0, true));
        Measure(bench, "greedy, 1 of 4 ranks", 1.5f, new SamplingParameters(), new SummaryLayout(1, 0), ranks: 4);
        Measure(bench, "greedy, 20 log-probs", 1.5f, new SamplingParameters { LogProbs = 20 }, new SummaryLayout(1, 20, true));
        Measure(bench, "temperature", 1.5f, plain, new SummaryLayout(1, 0, true));
        Measure(bench, "temperature, penalties", 1.5f, plain with { PresencePenalty = 1 }, new SummaryLayout(1, 0, true));
        Measure(bench, "top-p 0.9", 1.5f, plain with { TopP = 0.9f }, new SummaryLayout(64, 0, true));
        Measure(bench, "top-p 0.9, 1 of 4 ranks", 1.5f, plain with { TopP = 0.9f }, new SummaryLayout(64, 0), ranks: 4);
        Measure(bench, "top-k 50", 1.5f, plain with { TopK = 50 }, new SummaryLayout(64, 0, true));
        Measure(bench, "top-p 0.9, flat", 0.7f, plain with { TopP = 0.9f }, new SummaryLayout(64, 0, true));
        Measure(bench, "top-k 5000, top-p 0.9, flat", 0.7f, plain with { TopP = 0.9f, TopK = 5000 }, new SummaryLayout(64, 0, true));
    }

    private static void Measure(
        GpuBench bench, string name, float exponent, SamplingParameters sampling, SummaryLayout layout, int ranks = 1)
    {
        using var ops = new CudaSamplingOps(bench.Device);
        var times = new double[3];
        var summaries = new double[3];
        var checkedRows = 0;
        int[] batches = [1, 16, 64];
        for (var i = 0; i < batches.Length; i++)
        {
            using var step = new Step(bench.Device, ops, batches[i], Vocabulary / ranks, exponent, sampling, layout, ranks);
            times[i] = bench.Microseconds(30, _ => step.Issue());
            summaries[i] = bench.Microseconds(30, _ => step.Summarise());
            checkedRows += ranks == 1 ? step.RowsLikeTheCpu() : 0;
        }

        Console.WriteLine(
            $"{name,-40} {times[0],9:F2} {times[1],9:F2} {times[2],9:F2}   {summaries[0]:F2} {summaries[1]:F2} {summaries[2]:F2}"
            + (ranks == 1 ? $"   {checkedRows} of {batches.Sum()} rows as on the CPU" : string.Empty));
    }

    private sealed class Step : IDisposable
    {
        private readonly CudaDevice _device;
        private readonly CudaSamplingOps _ops;
        private readonly SummaryLayout _layout;
        private readonly IndexRange[] _parts;
        private readonly List<Tensor> _owned = [];
        private readonly SamplingRows _rows;
        private readonly Tensor _logits;
        private readonly Tensor _summary;
        private readonly Tensor _summaries;
        private readonly Tensor _outcomes;
        private readonly Tensor _last;
        private readonly float[] _values;
        private readonly SlotSettings[] _settings;

        public Step(
            CudaDevice device, CudaSamplingOps ops, int rows, int columns, float exponent, SamplingParameters sampling,
            SummaryLayout layout, int ranks)
        {
            (_device, _ops, _layout) = (device, ops, layout);
            _parts = [.. Enumerable.Range(0, ranks).Select(r => new IndexRange(r * columns, (r + 1) * columns))];
            _settings = [.. Enumerable.Range(0, rows).Select(
                slot => SlotSettings.From(slot, new SequenceStart(1, sampling with { Seed = sampling.Seed + (ulong)slot })))];
            _rows = new SamplingRows(
                rows,
                Ints(1, [.. Enumerable.Range(0, rows)]),
                Ints(1, [.. Enumerable.Range(0, rows).Select(r => 100 + r)]),
                Ints(rows, MemoryMarshal.Cast<SlotSettings, int>(_settings).ToArray()),
                Ints(rows, new int[rows * columns]));
            _values = [.. Enumerable.Range(0, rows).SelectMany(row => Logits(row, columns, exponent))];
            _logits = Owned(((IDevice)device).AllocateTensor(DType.F32, rows, columns, MemoryPurpose.Workspace));
            device.CopyToDevice(MemoryMarshal.AsBytes<float>(_values), _logits.Buffer, 0);
            _summary = Ints(rows, new int[rows * layout.Words]);
            _summaries = ranks == 1 ? _summary : Ints(rows, new int[rows * layout.Words * ranks]);
            (_outcomes, _last) = (Ints(1, new int[rows]), Ints(1, new int[rows]));
            if (ranks > 1)
            {
                RepeatSummary(ranks);
            }
        }

        public void Summarise() => _ops.Summarise(_logits, 0, _rows, _layout, _summary);

        public void Issue()
        {
            Summarise();
            _ops.Choose(_summaries, _parts, _rows, _layout, _outcomes);
            _ops.Commit(_outcomes, 0, _rows, _last);
        }

        /// <summary>Rows of which the CPU draws the same token from the same logits, counted without penalties.</summary>
        public int RowsLikeTheCpu()
        {
            _device.Clear(_rows.Counts.Buffer, 0, _rows.Counts.Buffer.Bytes);
            Issue();
            var drawn = new int[_rows.Count];
            _device.CopyToHost(_outcomes.Buffer, 0, MemoryMarshal.AsBytes(drawn.AsSpan()));
            using IDevice host = new CpuDevice("cpu:0", threads: 1);
            Tensor Host<T>(Tensor shape, T[] values)
                where T : unmanaged
            {
                var tensor = host.AllocateTensor(shape.DType, shape.Rows, shape.Columns, MemoryPurpose.Workspace);
                host.CopyToDevice(MemoryMarshal.AsBytes<T>(values), tensor.Buffer, 0);
                return tensor;
            }

            var rows = new SamplingRows(
                _rows.Count,
                Host(_rows.Slots, [.. Enumerable.Range(0, _rows.Count)]),
                Host(_rows.Positions, [.. Enumerable.Range(0, _rows.Count).Select(r => 100 + r)]),
                Host(_rows.Settings, _settings),
                Host(_rows.Counts, new int[_rows.Count * _rows.Counts.Columns]));
            var (summary, outcomes) = (Host(_summary, new int[_summary.Rows * _summary.Columns]), Host(_outcomes, new int[_rows.Count]));
            var ops = new CpuSamplingOps();
            ops.Summarise(Host(_logits, _values), 0, rows, _layout, summary);
            ops.Choose(summary, _parts, rows, _layout, outcomes);
            var expected = new int[_rows.Count];
            host.CopyToHost(outcomes.Buffer, 0, MemoryMarshal.AsBytes(expected.AsSpan()));
            return expected.Zip(drawn).Count(p => p.First == p.Second);
        }

        public void Dispose() => _owned.ForEach(t => t.Buffer.Dispose());

        // All ranks say what this one does: the work of a choice, not its sense.
        private void RepeatSummary(int ranks)
        {
            Summarise();
            var (rows, words) = (_rows.Count, _layout.Words);
            var own = new int[rows * words];
            _device.CopyToHost(_summary.Buffer, 0, MemoryMarshal.AsBytes(own.AsSpan()));
            int[] all = [.. Enumerable.Range(0, rows).SelectMany(
                row => Enumerable.Range(0, ranks).SelectMany(_ => own.Skip(row * words).Take(words)))];
            _device.CopyToDevice(MemoryMarshal.AsBytes<int>(all), _summaries.Buffer, 0);
        }

        private static float[] Logits(int row, int count, float exponent)
        {
            var logits = Enumerable.Range(1, count).Select(r => -exponent * MathF.Log(r)).ToArray();
            new Random(row).Shuffle(logits);
            return logits;
        }

        private Tensor Ints(int rows, int[] values)
        {
            var tensor = Owned(((IDevice)_device).AllocateTensor(DType.I32, rows, values.Length / rows, MemoryPurpose.Workspace));
            _device.CopyToDevice(MemoryMarshal.AsBytes<int>(values), tensor.Buffer, 0);
            return tensor;
        }

        private Tensor Owned(Tensor tensor)
        {
            _owned.Add(tensor);
            return tensor;
        }
    }
}
