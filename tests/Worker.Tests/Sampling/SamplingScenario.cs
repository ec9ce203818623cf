using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Protocol.Generation;
using TensorParallel.Protocol.Parallel;
using TensorParallel.Worker.Collectives;
using TensorParallel.Worker.Devices;
using TensorParallel.Worker.Ops;
using TensorParallel.Worker.Ops.Cpu;
using TensorParallel.Worker.Sampling;
using TensorParallel.Worker.Tests.Collectives;

namespace TensorParallel.Worker.Tests.Sampling;

/// <summary>
/// Sequences with random parameters and random logits, all from one seed, to be sampled over any cut.
/// </summary>
internal sealed class SamplingScenario
{
    private const int Steps = 8;

    private readonly int _seed;
    private readonly int _vocabulary;
    private readonly SequenceStart[] _starts;
    private readonly int[][] _prompts;
    private readonly float[][][] _logits;

    public SamplingScenario(int seed, int? vocabulary = null)
    {
        var random = new Random(seed);
        int[] sizes = [5, 17, 64, 100, 257, 1000, 5000];
        _seed = seed;
        _vocabulary = vocabulary ?? sizes[random.Next(sizes.Length)];
        var sequences = random.Next(1, 6);
        _prompts = [.. Enumerable.Range(0, sequences).Select(_ => RandomTokens(random, random.Next(1, 30)))];
        _starts = [.. _prompts.Select(p =>
            new SequenceStart(random.Next(Math.Max(1, p.Length - 4), p.Length + 1), RandomSampling(random)))];
        _logits = [.. Enumerable.Range(0, Steps).Select(_ => _prompts.Select(_ => RandomLogits(random)).ToArray())];
    }

    /// <summary>What the parameters say, from the whole vocabulary.</summary>
    public int[] Reference()
    {
        var tokens = new List<int>();
        var references = _starts.Select(s => new ReferenceSampler(s)).ToArray();
        for (var step = 0; step < Steps; step++)
        {
            for (var sequence = 0; sequence < _starts.Length; sequence++)
            {
                if (step == 0)
                {
                    references[sequence].Append(_prompts[sequence]);
                }

                tokens.Add(references[sequence].Draw(_logits[step][sequence]));
                references[sequence].Append(tokens[^1]);
            }
        }

        return [.. tokens];
    }

    /// <summary>Samples as one rank of a group; the cut comes from the seed and the size.</summary>
    public (int[] Tokens, long Gathered) Sample(ICollective collective, HostDevice device)
    {
        var parts = RandomParts(new Random(_seed + collective.Size), _vocabulary, collective.Size);
        var own = parts[collective.Rank];
        var limits = new StepLimits(7, _starts.Length + 2, 1000, 16, 100);
        using var sampler = new Sampler(new CpuSamplingOps(), device, collective, parts, collective.Rank, limits);
        var slots = Enumerable.Range(0, _starts.Length).Select(s => _starts.Length + 1 - s).ToArray();
        for (var sequence = 0; sequence < slots.Length; sequence++)
        {
            sampler.Begin(slots[sequence], _starts[sequence]);
            var half = _prompts[sequence].Length / 2;
            sampler.AppendPrompt(slots[sequence], _prompts[sequence].AsSpan(0, half));
            sampler.AppendPrompt(slots[sequence], _prompts[sequence].AsSpan(half));
        }

        var tokens = new List<int>();
        for (var step = 0; step < Steps; step++)
        {
            var logits = device.Tensor(DType.F32, slots.Length, own.Length, step);
            HostDevice.Fill(logits, [.. _logits[step].SelectMany(row => row[own.Start..own.End])]);
            var positions = _prompts.Select(p => p.Length + step).ToArray();
            var sampled = sampler.Sample(logits, slots, positions);
            Xunit.Assert.Equal(slots, sampled.Select(s => s.Slot));
            tokens.AddRange(sampled.Select(s => s.TokenId));
        }

        return ([.. tokens], sampler.GatheredRows);
    }

    /// <summary>Samples by operations alone, the ranks one after the other on one device, with rows that fill up the steps.</summary>
    public (int[] Tokens, int Gathered) Sample(IDevice device, ISamplingOps ops, int size, bool saysWhole)
    {
        var random = new Random(_seed + size);
        var parts = RandomParts(random, _vocabulary, size);
        using var ranks = new SamplingRanks(device, ops, parts, _starts.Length + 2, random);
        var slots = Enumerable.Range(0, _starts.Length).Select(s => _starts.Length + 1 - s).ToArray();
        var largest = 1;
        for (var sequence = 0; sequence < slots.Length; sequence++)
        {
            var (start, prompt) = (_starts[sequence], _prompts[sequence]);
            ranks.Begin(slots[sequence], start);
            ranks.Append(slots[sequence], prompt[..start.PromptTokens], generated: false);
            ranks.Append(slots[sequence], prompt[start.PromptTokens..], generated: true);
            largest = Math.Max(largest, Math.Min(start.Sampling.TopK + 1, 200));
        }

        var candidates = Math.Max(largest, random.Next(2) == 0 ? 64 : random.Next(2, 100));
        var layout = new SummaryLayout(candidates, 0, saysWhole);
        var tokens = new List<int>();
        for (var step = 0; step < Steps; step++)
        {
            var fill = random.Next(3);
            var outcomes = ranks.Draw(
                [.. slots, .. Enumerable.Repeat(-1, fill)],
                [.. _prompts.Select(p => p.Length + step), .. Enumerable.Repeat(-7, fill)],
                [.. _logits[step], .. Enumerable.Repeat(_logits[step][0].Select(_ => float.NaN).ToArray(), fill)],
                layout);
            Xunit.Assert.All(outcomes[slots.Length..], o => Xunit.Assert.Equal(0, o));
            tokens.AddRange(outcomes[..slots.Length]);
            ranks.Commit();
        }

        ranks.AssertCountsOfOthersUntouched();
        return ([.. tokens], ranks.Gathered);
    }

    /// <summary>A cut into parts of random sizes, some of them empty.</summary>
    public static IndexRange[] RandomParts(Random random, int vocabulary, int size)
    {
        int[] cuts =
            [0, .. Enumerable.Range(1, size - 1).Select(_ => random.Next(0, vocabulary + 1)).Order(), vocabulary];
        if (size > 2 && random.Next(2) == 0)
        {
            cuts[1] = cuts[2];
        }

        return [.. Enumerable.Range(0, size).Select(r => new IndexRange(cuts[r], cuts[r + 1]))];
    }

    public override string ToString() =>
        $"seed {_seed}, vocabulary {_vocabulary}, {string.Join("; ", _starts.Select(s => s.ToString()))}";

    private int[] RandomTokens(Random random, int count) =>
        [.. Enumerable.Range(0, count).Select(_ => random.Next(_vocabulary))];

    private SamplingParameters RandomSampling(Random random) => new()
    {
        Temperature = random.Next(5) switch
        {
            0 => 0,
            1 => 100 * random.NextSingle(),
            _ => 0.05f + (2 * random.NextSingle()),
        },
        TopK =
            random.Next(2) == 0 ? 0 : random.Next(3) == 0 ? random.Next(1, (2 * _vocabulary) + 1) : random.Next(1, 60),
        TopP = random.Next(2) == 0 ? 1 : 1 - random.NextSingle(),
        MinP = random.Next(3) != 0 ? 0 : 0.5f * random.NextSingle() * random.NextSingle(),
        RepetitionPenalty = random.Next(2) == 0 ? 1 : 0.5f + random.NextSingle(),
        PresencePenalty = random.Next(3) != 0 ? 0 : random.NextSingle() - 0.3f,
        FrequencyPenalty = random.Next(3) != 0 ? 0 : random.NextSingle() - 0.3f,
        Seed = (ulong)random.NextInt64(),
        MinNewTokens = random.Next(0, 6),
        EosTokenIds = [.. RandomTokens(random, random.Next(0, 4)).Where(id => id != _vocabulary - 1)],
    };

    private float[] RandomLogits(Random random)
    {
        var kind = random.Next(5);
        var scale = 0.1f + (6 * random.NextSingle());
        return [.. Enumerable.Range(0, _vocabulary).Select(id => kind switch
        {
            // All equal; few different values; a spread like a language model's; some impossible, never the last;
            // plain.
            0 => -1.5f,
            1 => random.Next(-2, 3),
            2 => scale * MathF.Log(1 / (1 - random.NextSingle())),
            3 when id != _vocabulary - 1 && random.Next(3) == 0 => float.NegativeInfinity,
            _ => scale * (random.NextSingle() - 0.5f),
        })];
    }
}
