using System.Runtime.InteropServices;
using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Protocol.Generation;
using TensorParallel.Protocol.Parallel;
using TensorParallel.Worker.Collectives;
using TensorParallel.Worker.Ops;
using TensorParallel.Worker.Ops.Cpu;
using TensorParallel.Worker.Sampling;
using TensorParallel.Worker.Tests.Collectives;
using Xunit;

namespace TensorParallel.Worker.Tests.Sampling;

/// <summary>Single properties of the sampler.</summary>
public sealed class SamplerBehaviourTests
{
    private static readonly StepLimits s_limits = new(64, 4, 100_000, 16, 100);

    [Theory]
    [InlineData(1, 1f, 0)]
    [InlineData(3, 0.7f, 0)]
    [InlineData(2, 1f, 20)]
    public void Tokens_follow_the_softmax(int size, float temperature, int topK)
    {
        const int Vocabulary = 40;
        const int Draws = 20_000;
        var random = new Random(5);
        var logits = Enumerable.Range(0, Vocabulary).Select(_ => 3 * random.NextSingle()).ToArray();
        var sampling = new SamplingParameters { Temperature = temperature, TopK = topK, Seed = 99 };
        var tokens = Draw(size, logits, sampling, Draws).Tokens;

        var kept = logits.OrderDescending().Take(topK == 0 ? Vocabulary : topK).Min();
        var weights = logits.Select(x => x < kept ? 0 : Math.Exp(x / temperature)).ToArray();
        var chiSquare = 0.0;
        for (var id = 0; id < Vocabulary; id++)
        {
            var expected = Draws * weights[id] / weights.Sum();
            var observed = tokens.Count(t => t == id);
            Assert.True(expected > 0 || observed == 0);
            chiSquare += expected > 0 ? Math.Pow(observed - expected, 2) / expected : 0;
        }

        // 99.99 % quantile of chi-square with 39 degrees of freedom; the seed is fixed, so this holds always or never.
        Assert.InRange(chiSquare, 5, 79.6);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    public void A_flat_distribution_is_decided_on_all_logits(int size)
    {
        var random = new Random(7);
        var logits = Enumerable.Range(0, 3000).Select(_ => random.NextSingle()).ToArray();
        var sampling = new SamplingParameters { Temperature = 1, TopP = 0.5f, Seed = 3 };
        var (tokens, gathered) = Draw(size, logits, sampling, 200);
        Assert.Equal(size == 1 ? 0 : 200, gathered);

        // Half the probability is less than half the tokens: the better ones.
        var median = logits.OrderDescending().ElementAt(1500);
        Assert.All(tokens, t => Assert.True(logits[t] > median));
        Assert.True(tokens.Distinct().Count() > 150);
    }

    [Fact]
    public void A_peaked_distribution_is_decided_on_candidates()
    {
        var random = new Random(7);
        var logits = Enumerable.Range(0, 3000).Select(i => (i % 300 == 0 ? 12 : 0) + random.NextSingle()).ToArray();
        SamplingParameters[] settings = [new() { TopP = 0.9f }, new() { MinP = 0.1f }, new() { TopK = 100 }];
        foreach (var sampling in settings)
        {
            Assert.Equal(0, Draw(2, logits, sampling with { Temperature = 1 }, 100).Gathered);
        }
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(5)]
    public void Greedy_takes_the_lowest_of_equal_ids(int size)
    {
        var logits = new float[2000];
        logits[777] = logits[1200] = logits[1999] = 2;
        Assert.All(Draw(size, logits, new SamplingParameters(), 3).Tokens, t => Assert.Equal(777, t));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(4)]
    public void Top_k_keeps_the_ties_of_the_last_one(int size)
    {
        // 1 best, 400 tied for second, more than any rank's candidates: top-k 2 keeps them all.
        var logits = Enumerable.Range(0, 1000).Select(id => id == 500 ? 1.1f : id % 5 is 0 or 1 ? 1f : 0f).ToArray();
        var (tokens, gathered) = Draw(size, logits, new SamplingParameters { Temperature = 1, TopK = 2 }, 300);
        Assert.Equal(size == 1 ? 0 : 300, gathered);
        Assert.All(tokens, t => Assert.True(logits[t] >= 1));
        Assert.True(tokens.Distinct().Count() > 150);
    }

    [Fact]
    public void Seeds_and_positions_give_different_tokens()
    {
        var logits = new float[1000];
        var first = Draw(1, logits, new SamplingParameters { Temperature = 1, Seed = 1 }, 100).Tokens;
        Assert.True(first.Distinct().Count() > 80);
        Assert.Equal(first, Draw(2, logits, new SamplingParameters { Temperature = 1, Seed = 1 }, 100).Tokens);
        foreach (var seed in new[] { 2UL, 1UL << 32 | 1 })
        {
            var other = Draw(1, logits, new SamplingParameters { Temperature = 1, Seed = seed }, 100).Tokens;
            Assert.InRange(first.Zip(other).Count(p => p.First == p.Second), 0, 5);
        }
    }

    [Theory]
    [InlineData(1e-38f, 1)]
    [InlineData(1e-38f, 3)]
    [InlineData(float.Epsilon, 1)]
    [InlineData(float.Epsilon, 3)]
    public void The_smallest_temperatures_are_greedy(float temperature, int size)
    {
        var random = new Random(5);
        var logits = Enumerable.Range(0, 3000).Select(_ => 40 * (random.NextSingle() - 0.5f)).ToArray();
        var expected = Array.IndexOf(logits, logits.Max());
        SamplingParameters[] all =
        [
            new() { Temperature = temperature },
            new() { Temperature = temperature, TopP = 0.9f },
            new() { Temperature = temperature, MinP = 0.5f },
            new() { Temperature = temperature, TopK = 500 },
            new() { Temperature = temperature, TopK = 500, TopP = 0.999f, MinP = 1e-9f },
        ];
        Assert.All(all, sampling => Assert.Equal([expected, expected], Draw(size, logits, sampling, 2).Tokens));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    public void Log_probabilities_are_those_of_the_raw_logits(int size)
    {
        var random = new Random(11);
        var logits = Enumerable.Range(0, 500).Select(_ => 8 * random.NextSingle()).ToArray();
        var sampling = new SamplingParameters
        {
            Temperature = 2,
            TopK = 30,
            RepetitionPenalty = 1.5f,
            FrequencyPenalty = 1,
            LogProbs = 20,
            EosTokenIds = [3],
            MinNewTokens = 9,
        };
        var expected = ReferenceSampler.LogProbabilities(logits);
        var best = Enumerable.Range(0, 500).OrderByDescending(id => logits[id]).Take(20).ToArray();
        foreach (var sampled in DrawAll(size, logits, sampling, 40).SelectMany(rank => rank.Sampled))
        {
            Assert.Equal(expected[sampled.TokenId], sampled.LogProb!.Value, 1e-5);
            Assert.Equal(best, sampled.TopLogProbs.Select(t => t.TokenId));
            Assert.All(sampled.TopLogProbs, t => Assert.Equal(expected[t.TokenId], t.LogProb, 1e-5));
        }
    }

    [Theory]
    [InlineData(float.NaN)]
    [InlineData(float.PositiveInfinity)]
    public void A_logit_that_is_no_number_is_an_error_on_every_rank(float bad)
    {
        var logits = new float[300];
        logits[299] = bad;
        foreach (var temperature in new[] { 0f, 1f })
        {
            var errors = Assert.Throws<AggregateException>(
                () => Draw(3, logits, new SamplingParameters { Temperature = temperature }, 1)).InnerExceptions;
            Assert.Equal(3, errors.Count);
            Assert.All(errors, e => Assert.Equal(
                "The logits for position 2 of the sequence in slot 1 contain NaN or +infinity: "
                + "the weights or the computation are broken, for example by an overflow in float16.",
                Assert.IsType<SamplingException>(e).Message));
        }
    }

    [Theory]
    [InlineData(0f, 0)]
    [InlineData(1f, 0)]
    [InlineData(1f, 5)]
    public void Nothing_left_to_draw_is_an_error(float temperature, int topK)
    {
        var logits = new float[] { 1, float.NegativeInfinity, 2 };
        var sampling =
            new SamplingParameters { Temperature = temperature, TopK = topK, EosTokenIds = [0, 2], MinNewTokens = 1 };
        var error = Assert.Throws<AggregateException>(() => Draw(2, logits, sampling, 1)).InnerExceptions[0];
        Assert.StartsWith(
            "No token can be drawn for position 2 of the sequence in slot 1:",
            Assert.IsType<SamplingException>(error).Message);
    }

    [Fact]
    public void A_slot_that_begins_again_has_forgotten_its_tokens()
    {
        using var device = new HostDevice();
        using var collective = new SingleRankCollective(device);
        using var sampler = new Sampler(new CpuSamplingOps(), device, collective, [new IndexRange(0, 3)], 0, s_limits);
        var logits = device.Tensor(DType.F32, 1, 3);
        HostDevice.Fill(logits, [1f, 1.2f, 1.1f]);
        var sampling = new SamplingParameters { RepetitionPenalty = 2 };
        for (var round = 0; round < 2; round++)
        {
            sampler.Begin(3, new SequenceStart(1, sampling));
            sampler.AppendPrompt(3, [0]);
            Assert.Equal(1, sampler.Sample(logits, [3], [1])[0].TokenId);
            Assert.Equal(2, sampler.Sample(logits, [3], [2])[0].TokenId);
            var lastTokens = new int[4];
            device.CopyToHost(sampler.LastTokens.Buffer, 0, MemoryMarshal.AsBytes(lastTokens.AsSpan()));
            Assert.Equal([0, 0, 0, 2], lastTokens);
        }
    }

    [Fact]
    public void Wrong_steps_and_settings_are_refused()
    {
        using var device = new HostDevice();
        using var collective = new SingleRankCollective(device);
        using var sampler = new Sampler(new CpuSamplingOps(), device, collective, [new IndexRange(0, 3)], 0, s_limits);
        var logits = device.Tensor(DType.F32, 1, 3);
        Assert.Throws<ArgumentException>(() => sampler.Sample(logits, [0], [0]));
        sampler.Begin(0, new SequenceStart(1, new SamplingParameters()));
        Assert.Throws<ArgumentException>(() => sampler.Sample(logits, [0], [1]));
        Assert.Throws<ArgumentException>(() => sampler.Sample(logits, [0, 1], [0, 0]));
        Assert.Throws<ArgumentException>(() => sampler.AppendPrompt(4, [1]));
        var start = new SequenceStart(1, new SamplingParameters { TopP = 0 });
        var error = Assert.Throws<ArgumentException>(() => sampler.Begin(2, start));
        Assert.Equal("The sequence for slot 2 was sent with top_p 0, which cannot be sampled with.", error.Message);
        Assert.Empty(sampler.Sample(device.Tensor(DType.F32, 0, 3), [], []));
        Assert.Throws<ArgumentException>(
            () => new Sampler(new CpuSamplingOps(), device, collective, [new IndexRange(1, 3)], 0, s_limits));
    }

    [Fact]
    public void The_plan_counts_with_the_layouts_that_are_used()
    {
        var largest = new SummaryLayout(SamplerWorkspace.MaxCandidates, SamplingLimits.MaxLogProbs);
        Assert.Equal(SamplerWorkspace.SummaryWords, largest.Words);
        Assert.Equal(SamplerWorkspace.SettingsWords, SlotSettings.Words);
    }

    private static (int[] Tokens, long Gathered) Draw(int size, float[] logits, SamplingParameters sampling, int draws)
    {
        var ranks = DrawAll(size, logits, sampling, draws);
        var tokens = ranks.Select(r => r.Sampled.Select(s => s.TokenId).ToArray()).ToArray();
        Assert.All(tokens, t => Assert.Equal(tokens[0], t));
        return (tokens[0], ranks[0].Gathered);
    }

    /// <summary>
    /// One sequence in slot 1 with prompt [1, 0] and the same logits at every position, over a random cut.
    /// </summary>
    private static (SampledToken[] Sampled, long Gathered)[] DrawAll(
        int size, float[] logits, SamplingParameters sampling, int draws)
    {
        var parts = SamplingScenario.RandomParts(new Random(size), logits.Length, size);
        return RankThreads.Run("shared-memory", size, 1 << 16, (collective, device) =>
        {
            var own = parts[collective.Rank];
            using var sampler = new Sampler(new CpuSamplingOps(), device, collective, parts, collective.Rank, s_limits);
            var tensor = device.Tensor(DType.F32, 1, own.Length);
            HostDevice.Fill(tensor, logits.AsSpan(own.Start, own.Length));
            sampler.Begin(1, new SequenceStart(2, sampling));
            sampler.AppendPrompt(1, [1, 0]);
            var sampled = Enumerable.Range(2, draws).Select(p => sampler.Sample(tensor, [1], [p])[0]).ToArray();
            return (sampled, sampler.GatheredRows);
        });
    }
}
