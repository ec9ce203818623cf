using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Protocol.Generation;
using TensorParallel.Protocol.Parallel;
using TensorParallel.Worker.Devices;
using TensorParallel.Worker.Ops;
using TensorParallel.Worker.Tests.Ops;
using Xunit;

namespace TensorParallel.Worker.Tests.Sampling;

/// <summary>
/// What every implementation of <see cref="ISamplingOps"/> must do. A backend derives one class and hands over its device and operations,
/// which are disposed here. Inputs are fresh at each run; the seed is printed, and the environment variable OPS_SEED repeats one.
/// </summary>
public abstract class SamplingConformance : IDisposable
{
    private readonly IDisposable _device;
    private readonly object _ops;

    /// <summary>Takes over the device and the operations (an <see cref="IDevice"/> and an <see cref="ISamplingOps"/>).</summary>
    protected SamplingConformance(ITestOutputHelper output, IDisposable device, object ops)
    {
        _device = device;
        _ops = ops;
        var seed = Environment.GetEnvironmentVariable("OPS_SEED") is { } fixedSeed
            ? int.Parse(fixedSeed, System.Globalization.CultureInfo.InvariantCulture)
            : Random.Shared.Next();
        output.WriteLine($"seed {seed}");
        Random = new Random(seed);
    }

    /// <summary>Source of all inputs of one test.</summary>
    protected Random Random { get; }

    /// <summary>Random sequences of one theory case.</summary>
    protected virtual int Scenarios => 60;

    private IDevice Device => (IDevice)_device;

    private ISamplingOps Ops => (ISamplingOps)_ops;

    public void Dispose()
    {
        (_ops as IDisposable)?.Dispose();
        _device.Dispose();
        GC.SuppressFinalize(this);
    }

    [Theory]
    [InlineData(1, true)]
    [InlineData(1, false)]
    [InlineData(2, false)]
    [InlineData(3, false)]
    [InlineData(5, false)]
    public void Tokens_are_the_references(int ranks, bool saysWhole)
    {
        var gathered = 0;
        for (var i = 0; i < Scenarios; i++)
        {
            gathered += Compare(new SamplingScenario(Random.Next()), ranks, saysWhole);
        }

        Assert.True(saysWhole ? gathered == 0 : gathered > 0, $"{gathered} rows were gathered.");
    }

    [Theory]
    [InlineData(1, true)]
    [InlineData(1, false)]
    [InlineData(4, false)]
    public void Large_vocabularies_are_sampled_alike(int ranks, bool saysWhole)
    {
        foreach (var vocabulary in (int[])[32_003, 40_000])
        {
            Compare(new SamplingScenario(Random.Next(), vocabulary), ranks, saysWhole);
        }
    }

    /// <summary>Flat rows and large top-k, which the best 256 tokens do not decide; temperatures at which noise is lost in rounding.</summary>
    [Fact]
    public void One_rank_decides_every_row_with_filters()
    {
        const int Vocabulary = 9_000;
        SamplingParameters[] all =
        [
            new() { Temperature = 1, TopP = 0.5f },
            new() { Temperature = 1, TopP = 0.9999f },
            new() { Temperature = 100, TopP = 0.9f, MinP = 0.001f },
            new() { Temperature = 0.7f, TopK = 3000 },
            new() { Temperature = 0.7f, TopK = 3000, TopP = 0.8f },
            new() { Temperature = 3, TopK = 8999, TopP = 0.99f, MinP = 0.01f },
            new() { Temperature = 2, MinP = 0.02f },
            new() { Temperature = 1e-38f },
            new() { Temperature = float.Epsilon, TopP = 0.9f },
            new() { Temperature = 1e-38f, TopK = 2500 },
        ];
        using var ranks = new SamplingRanks(Device, Ops, [new IndexRange(0, Vocabulary)], all.Length, Random);
        var references = new List<ReferenceSampler>();
        for (var slot = 0; slot < all.Length; slot++)
        {
            var start = new SequenceStart(1, all[slot] with { Seed = (ulong)Random.NextInt64() });
            ranks.Begin(slot, start);
            references.Add(new ReferenceSampler(start));
            references[^1].Append(3);
        }

        foreach (var distinct in (int[])[1, 2, 40, 3000, 1 << 24])
        {
            var logits = all.Select(_ => Enumerable.Range(0, Vocabulary)
                .Select(_ => Random.Next(distinct) * (20f / distinct)).ToArray()).ToArray();
            var outcomes = ranks.Draw(
                [.. Enumerable.Range(0, all.Length)],
                [.. Enumerable.Repeat(1, all.Length)],
                logits,
                new SummaryLayout(64, 0, IsWhole: true));
            for (var slot = 0; slot < all.Length; slot++)
            {
                Assert.True(
                    references[slot].Draw(logits[slot]) == outcomes[slot],
                    $"{distinct} values, {all[slot]}: {outcomes[slot]} instead of {references[slot].Draw(logits[slot])}");
            }
        }
    }

    [Fact]
    public void Summaries_hold_the_best_raw_logits_and_the_sums()
    {
        foreach (var vocabulary in (int[])[3, 700, 5_001])
        {
            var parts = SamplingScenario.RandomParts(Random, vocabulary, 3);
            using var ranks = new SamplingRanks(Device, Ops, parts, 2, Random);
            ranks.Begin(0, new SequenceStart(1, new() { LogProbs = 5, EosTokenIds = [0], MinNewTokens = 9 }));
            ranks.Begin(1, new SequenceStart(1, new() { LogProbs = 20, Temperature = 0.7f, TopP = 0.9f }));
            float[][] logits = [Ties(vocabulary), [.. Ties(vocabulary).Select(x => x * 1.37f)]];
            var layout = new SummaryLayout(10, 20);
            var words = ranks.Summaries(logits, [0, 1], [1, 1], layout).Values;
            for (var row = 0; row < 2; row++)
            {
                for (var rank = 0; rank < parts.Length; rank++)
                {
                    var summary = Enumerable.Range(0, layout.Words).Select(w => (int)words[row, (rank * layout.Words) + w]).ToArray();
                    var own = logits[row][parts[rank].Start..parts[rank].End];
                    CheckBest(own, parts[rank].Start, summary, layout.RawValues, layout.LogProbs);
                    CheckSum(own, 1, summary, SummaryLayout.RawSum);
                    Assert.Equal(own.Append(float.NegativeInfinity).Max(), Float(summary[SummaryLayout.RawMaximum]));
                    if (row == 1)
                    {
                        CheckBest(own, parts[rank].Start, summary, SummaryLayout.Values, layout.Candidates);
                        CheckSum(own, 0.7f, summary, SummaryLayout.Sum);
                    }
                }
            }
        }
    }

    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    public void Rows_that_allow_no_draw_say_why_and_change_nothing(int size)
    {
        const int Vocabulary = 300;
        var parts = SamplingScenario.RandomParts(Random, Vocabulary, size);
        SamplingParameters[] all = [new(), new() { Temperature = 1 }, new() { Temperature = 1, TopP = 0.9f, PresencePenalty = 1 }];
        using var ranks = new SamplingRanks(Device, Ops, parts, all.Length, Random);
        var eos = Random.Next(Vocabulary);
        for (var slot = 0; slot < all.Length; slot++)
        {
            ranks.Begin(slot, new SequenceStart(1, all[slot] with { EosTokenIds = [eos], MinNewTokens = 1 }));
        }

        var layout = new SummaryLayout(20, 0, IsWhole: size == 1);
        foreach (var (bad, expected) in ((float, int)[])
            [(float.NaN, ISamplingOps.NotFinite), (float.PositiveInfinity, ISamplingOps.NotFinite),
                (float.NegativeInfinity, ISamplingOps.NothingLeft)])
        {
            var row = Enumerable.Repeat(float.NegativeInfinity, Vocabulary).ToArray();
            row[(eos + 1 + Random.Next(Vocabulary - 1)) % Vocabulary] = bad;
            row[eos] = float.IsNaN(bad) ? float.NaN : 5;
            var outcomes = ranks.Draw([0, 1, 2], [1, 1, 1], [row, row, row], layout);
            Assert.Equal([expected, expected, expected], outcomes);
            ranks.Commit();
        }

        Assert.Equal([-1, -1, -1], ranks.LastTokens);
        Assert.All(ranks.Counts(2), c => Assert.Equal(0, c));
    }

    [Fact]
    public void Commits_remember_tokens_and_count_them_where_penalties_need_it()
    {
        var parts = new IndexRange[] { new(0, 40), new(40, 40), new(40, 101) };
        using var ranks = new SamplingRanks(Device, Ops, parts, 5, Random);
        for (var slot = 0; slot < 4; slot++)
        {
            ranks.Begin(slot, new SequenceStart(1, new() { PresencePenalty = slot % 2 }));
        }

        ranks.Append(1, [7, 7, 100], generated: false);
        ranks.Append(1, [7, 50, 50], generated: true);
        var row = Ties(101);
        ranks.Draw([3, -1, 1, 0, 2], [1, 1, 1, 1, 1], [row, row, row, row, row], new SummaryLayout(1, 0));
        ranks.Commit([39, 9, 100, 8, -3]);
        ranks.Commit([40, 9, 100, 7, -1]);
        Assert.Equal([7, 100, -1, 40, -1], ranks.LastTokens);

        var expected = new int[101];
        expected[7] = ISamplingOps.InPrompt + 1;
        expected[50] = 2;
        expected[100] = ISamplingOps.InPrompt + 2;
        Assert.Equal(expected, ranks.Counts(1));
        expected = new int[101];
        expected[39] = expected[40] = 1;
        Assert.Equal(expected, ranks.Counts(3));
        ranks.AssertCountsOfOthersUntouched();
    }

    [Fact]
    public void Logits_of_drawn_tokens_are_picked_by_their_rank()
    {
        var values = new double[4, 37];
        for (var i = 0; i < values.Length; i++)
        {
            values[i / 37, i % 37] = (float)Random.NextDouble();
        }

        var logits = new TestTensor(Device, DType.F32, 4, 37, 3, values);
        var tokens = new TestTensor(Device, DType.I32, 1, 4, 0, new double[,] { { 99, 100, 136, 137 } });
        var output = new TestTensor(Device, DType.F32, 1, 4, 2, null);
        Ops.PickLogits(logits.Tensor, 100, tokens.Tensor, output.Tensor);
        output.Expect(new[,] { { 0, values[1, 0], values[2, 36], 0 } });
        output.AssertUntouched("picked");
        logits.AssertUntouched("logits");
        tokens.AssertUntouched("tokens");
    }

    /// <summary>Logits among which many are equal, and some impossible.</summary>
    private float[] Ties(int count) => [.. Enumerable.Range(0, count).Select(_ =>
        Random.Next(8) == 0 ? float.NegativeInfinity : Random.Next(-40, 40) * 0.25f)];

    private int Compare(SamplingScenario scenario, int ranks, bool saysWhole)
    {
        var (tokens, gathered) = scenario.Sample(Device, Ops, ranks, saysWhole);
        var expected = scenario.Reference();
        var different = Enumerable.Range(0, expected.Length).Where(i => expected[i] != tokens[i]);
        Assert.True(
            expected.SequenceEqual(tokens),
            $"{scenario}: {string.Join(", ", different.Select(i => $"{i}: {expected[i]} became {tokens[i]}"))}");
        return gathered;
    }

    private static void CheckBest(float[] own, int first, int[] summary, int values, int count)
    {
        var expected = own.Select((x, i) => (Value: x, Id: first + i)).OrderByDescending(c => c.Value).ThenBy(c => c.Id)
            .Concat(Enumerable.Repeat((Value: float.NegativeInfinity, Id: -1), count)).Take(count);
        Assert.Equal(expected, Enumerable.Range(0, count).Select(i => (Float(summary[values + i]), summary[values + count + i])));
    }

    private static void CheckSum(float[] own, float temperature, int[] summary, int word)
    {
        var best = own.Append(float.NegativeInfinity).Max();
        var expected = float.IsNegativeInfinity(best) ? 0 : own.Sum(x => Math.Exp(((double)x - best) / temperature));
        Assert.Equal(expected, SummaryLayout.ReadDouble(summary, word), expected * 2e-5);
    }

    private static float Float(int bits) => BitConverter.Int32BitsToSingle(bits);
}
