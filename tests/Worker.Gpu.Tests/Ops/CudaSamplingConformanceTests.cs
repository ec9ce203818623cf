using System.Runtime.InteropServices;
using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Protocol.Generation;
using TensorParallel.Protocol.Parallel;
using TensorParallel.Worker.Devices;
using TensorParallel.Worker.Ops;
using TensorParallel.Worker.Ops.Cpu;
using TensorParallel.Worker.Ops.Cuda;
using TensorParallel.Worker.Tests.Sampling;
using Xunit;

namespace TensorParallel.Worker.Gpu.Tests.Ops;

/// <summary>The cases of sampling on a GPU, and what only a GPU has: captured steps.</summary>
public sealed class CudaSamplingConformanceTests : SamplingConformance
{
    private readonly CudaDevice _device;
    private readonly CudaSamplingOps _ops;

    public CudaSamplingConformanceTests(ITestOutputHelper output)
        : this(output, Gpu.Open())
    {
    }

    private CudaSamplingConformanceTests(ITestOutputHelper output, CudaDevice device)
        : this(output, device, new CudaSamplingOps(device))
    {
    }

    private CudaSamplingConformanceTests(ITestOutputHelper output, CudaDevice device, CudaSamplingOps ops)
        : base(output, device, ops)
    {
        (_device, _ops) = (device, ops);
    }

    /// <summary>
    /// A captured step draws what eager ones do: the same logits at rising positions, with counts that grow. A larger step in between
    /// makes the scratch memory move.
    /// </summary>
    [Fact]
    public void Captured_steps_draw_the_tokens_of_eager_ones()
    {
        const int Vocabulary = 20_011;
        const int Steps = 6;
        SamplingParameters[] all =
        [
            new() { FrequencyPenalty = 0.3f },
            new() { Temperature = 0.8f, RepetitionPenalty = 1.2f, Seed = 5 },
            new() { Temperature = 0.9f, TopP = 0.95f, PresencePenalty = 0.5f, Seed = 6 },
            new() { Temperature = 1.5f, TopP = 0.99f, TopK = 4000, Seed = 7 },
        ];
        var logits = Enumerable.Range(0, all.Length * Vocabulary).Select(_ => 12 * Random.NextSingle()).ToArray();
        foreach (var layout in (SummaryLayout[])[new(64, 0, true), new(64, 3, true), new(1, 0, true)])
        {
            // Without filters where there is room for one candidate only.
            var starts = (layout.Candidates == 1 ? all[..2] : all).Select(s => new SequenceStart(1, s)).ToArray();
            Assert.Equal(Run(starts, logits, layout, Steps, captured: false), Run(starts, logits, layout, Steps, captured: true));
        }
    }

    /// <summary>Vocabularies of today's models and beyond, peaked and flat: the tokens that the CPU draws.</summary>
    [Theory]
    [InlineData(128_256, 1)]
    [InlineData(128_259, 3)]
    [InlineData(270_001, 1)]
    public void Full_vocabularies_give_the_cpus_tokens(int vocabulary, int size)
    {
        SamplingParameters[] all =
        [
            new(),
            new() { Temperature = 0.8f, RepetitionPenalty = 1.3f },
            new() { Temperature = 0.8f, TopP = 0.9f },
            new() { Temperature = 1.1f, TopP = 0.98f, FrequencyPenalty = 0.1f },
            new() { Temperature = 1, TopK = 40, TopP = 0.95f },
            new() { Temperature = 1, TopK = 3000 },
            new() { Temperature = 1.5f, MinP = 0.01f },
        ];
        var parts = SamplingScenario.RandomParts(new Random(vocabulary), vocabulary, size);
        using var host = new CpuDevice("cpu:0", threads: 1);
        using var expected = new SamplingRanks(host, new CpuSamplingOps(), parts, all.Length, Random);
        using var actual = new SamplingRanks(_device, _ops, parts, all.Length, Random);
        int[] prompt = [.. Enumerable.Range(0, 50).Select(_ => Random.Next(vocabulary))];
        for (var slot = 0; slot < all.Length; slot++)
        {
            var start = new SequenceStart(prompt.Length, all[slot] with { Seed = (ulong)Random.NextInt64() });
            foreach (var ranks in (SamplingRanks[])[expected, actual])
            {
                ranks.Begin(slot, start);
                ranks.Append(slot, prompt, generated: false);
            }
        }

        var layout = new SummaryLayout(64, 0, IsWhole: size == 1);
        int[] slots = [.. Enumerable.Range(0, all.Length)];
        foreach (var exponent in (float[])[1.5f, 0.7f])
        {
            // Zipf's law, shuffled by row.
            var logits = slots.Select(_ =>
            {
                var row = Enumerable.Range(1, vocabulary).Select(r => 9 - (exponent * MathF.Log(r))).ToArray();
                Random.Shuffle(row);
                return row;
            }).ToArray();
            int[] positions = [.. slots.Select(_ => prompt.Length)];
            Assert.Equal(expected.Draw(slots, positions, logits, layout), actual.Draw(slots, positions, logits, layout));
            Assert.Equal(expected.Gathered, actual.Gathered);
        }
    }

    private int[] Run(SequenceStart[] starts, float[] logits, SummaryLayout layout, int steps, bool captured)
    {
        var (count, vocabulary) = (starts.Length + 1, logits.Length / 4);
        IndexRange[] parts = [new(0, vocabulary)];
        var settings = starts.Select((s, slot) => SlotSettings.From(slot, s)).ToArray();
        var rows = new SamplingRows(
            count,
            Ints(1, [.. Enumerable.Range(0, starts.Length), -1]),
            Ints(1, new int[count]),
            Ints(starts.Length, MemoryMarshal.Cast<SlotSettings, int>(settings).ToArray()),
            Ints(starts.Length, new int[starts.Length * vocabulary]));
        var values = ((IDevice)_device).AllocateTensor(DType.F32, count, vocabulary, MemoryPurpose.Workspace);
        _device.CopyToDevice(MemoryMarshal.AsBytes(logits.AsSpan(0, starts.Length * vocabulary)), values.Buffer, 0);
        var (summary, outcomes, last) = (Ints(count, new int[count * layout.Words]), Ints(1, new int[count]), Ints(1, new int[starts.Length]));
        void Step()
        {
            _ops.Summarise(values, 0, rows, layout, summary);
            _ops.Choose(summary, parts, rows, layout, outcomes);
            _ops.Commit(outcomes, 0, rows, last);
        }

        CudaGraph? graph = null;
        var tokens = new List<int>();
        for (var step = 0; step < steps; step++)
        {
            var positions = Enumerable.Repeat(step + 1, count).ToArray();
            _device.CopyToDevice(MemoryMarshal.AsBytes<int>(positions), rows.Positions.Buffer, 0);
            if (captured && step > 0)
            {
                graph ??= CudaGraph.Capture(_device, Step);
                graph.Replay();
            }
            else
            {
                Step();
            }

            var drawn = new int[count];
            _device.CopyToHost(outcomes.Buffer, 0, MemoryMarshal.AsBytes(drawn.AsSpan()));
            Assert.All(drawn, t => Assert.InRange(t, 0, vocabulary - 1));
            tokens.AddRange(drawn);
            if (step == 2)
            {
                GrowScratch();
            }
        }

        var committed = new int[starts.Length];
        _device.CopyToHost(last.Buffer, 0, MemoryMarshal.AsBytes(committed.AsSpan()));
        Assert.Equal(tokens[^count..^1], committed);
        graph?.Dispose();
        return [.. tokens];
    }

    // 400 rows that only fill up a step.
    private void GrowScratch()
    {
        const int Count = 400;
        var rows = new SamplingRows(
            Count, Ints(1, [.. Enumerable.Repeat(-1, Count)]), Ints(1, new int[Count]), Ints(1, new int[SlotSettings.Words]),
            Ints(1, new int[4000]));
        var values = ((IDevice)_device).AllocateTensor(DType.F32, Count, 4000, MemoryPurpose.Workspace);
        var layout = new SummaryLayout(64, 0, true);
        _ops.Summarise(values, 0, rows, layout, Ints(Count, new int[Count * layout.Words]));
    }

    private Tensor Ints(int rows, int[] values)
    {
        var tensor = ((IDevice)_device).AllocateTensor(DType.I32, rows, values.Length / rows, MemoryPurpose.Workspace);
        _device.CopyToDevice(MemoryMarshal.AsBytes<int>(values), tensor.Buffer, 0);
        return tensor;
    }
}
