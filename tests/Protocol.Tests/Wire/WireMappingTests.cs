using Google.Protobuf;
using TensorParallel.Protocol.Generation;
using TensorParallel.Protocol.Wire;
using Xunit;
using Messages = TensorParallel.Protocol.Wire.Workers;

namespace TensorParallel.Protocol.Tests.Wire;

public sealed class WireMappingTests
{
    private static readonly StepLimits s_limits = new(
        MaxStepTokens: 300, MaxSequences: 7, MaxContextTokens: 200, KvBlockTokens: 16, KvBlocks: 33);

    [Fact]
    public void Steps_come_back_equal_through_bytes()
    {
        var seed = Random.Shared.Next();
        var random = new Random(seed);
        for (var round = 0; round < 200; round++)
        {
            var batch = RandomBatch(random);
            var bytes = WireMapping.ToWire(batch).ToByteArray();

            var back = WireMapping.ToRecord(Messages.Step.Parser.ParseFrom(bytes), s_limits);

            Assert.True(Same(batch, back), $"seed {seed}, round {round}: {batch} became {back}");
        }
    }

    [Fact]
    public void Results_come_back_equal_through_bytes()
    {
        var seed = Random.Shared.Next();
        var random = new Random(seed);
        for (var round = 0; round < 200; round++)
        {
            var tokens = Enumerable.Range(0, random.Next(8)).Select(slot => RandomToken(random, slot)).ToArray();
            var result = new StepResult(random.NextInt64(long.MaxValue), tokens, random.NextInt64(long.MaxValue));
            var bytes = WireMapping.ToWire(result, peakResidentBytes: 5).ToByteArray();

            var back = WireMapping.ToRecord(Messages.StepResult.Parser.ParseFrom(bytes));

            Assert.Equal(result.Step, back.Step);
            Assert.Equal(result.ComputeMicroseconds, back.ComputeMicroseconds);
            Assert.Equal(tokens.Length, back.Tokens.Count);
            foreach (var (sent, read) in tokens.Zip(back.Tokens))
            {
                Assert.True(
                    sent with { TopLogProbs = read.TopLogProbs } == read
                        && sent.TopLogProbs.SequenceEqual(read.TopLogProbs),
                    $"seed {seed}, round {round}: {sent} became {read}");
            }
        }
    }

    public static TheoryData<string, Action<Messages.Step>> BadSteps => new()
    {
        { "step -1: number is -1", step => step.Step_ = -1 },
        { "slot is 7, it must be in 0 … 6", step => step.Sequences[0].Slot = 7 },
        { "slot is -1", step => step.Sequences[0].Slot = -1 },
        { "slot is 1, it must be named once", step => step.Sequences[0].Slot = 1 },
        { "position is -1", step => step.Sequences[1].Position = -1 },
        { "position is 199", step => step.Sequences[0].Position = 199 },
        { "token is -5", step => step.Sequences[0].Tokens = Bytes(3, -5) },
        { "new block is 33", step => step.Sequences[1].NewBlocks = Bytes(33) },
        { "tokens is 0", step => step.Sequences[0].Tokens = ByteString.Empty },
        { "tokens is 7 bytes long", step => step.Sequences[0].Tokens = ByteString.CopyFrom(new byte[7]) },
        { "new blocks is 1 bytes long", step => step.Sequences[0].NewBlocks = ByteString.CopyFrom(new byte[1]) },
        { "prompt_tokens is 0", step => step.Sequences[0].Start.PromptTokens = 0 },
        { "prompt_tokens is 201", step => step.Sequences[0].Start.PromptTokens = 201 },
        { "no sampling parameters", step => step.Sequences[0].Start.Sampling = null },
        {
            "sequences is 8",
            step => step.Sequences.Add(Enumerable.Range(2, 6).Select(slot => new Messages.StepSequence { Slot = slot }))
        },
        { "rows is 301", step => AddLongSequences(step) },
        { "temperature is NaN", step => step.Sequences[0].Start.Sampling.Temperature = float.NaN },
        { "temperature is -1", step => step.Sequences[0].Start.Sampling.Temperature = -1 },
        { "top_k is -1", step => step.Sequences[0].Start.Sampling.TopK = -1 },
        { "top_p is 0", step => step.Sequences[0].Start.Sampling.TopP = 0 },
        { "top_p is NaN", step => step.Sequences[0].Start.Sampling.TopP = float.NaN },
        { "min_p is 1", step => step.Sequences[0].Start.Sampling.MinP = 1 },
        { "repetition_penalty is 0", step => step.Sequences[0].Start.Sampling.RepetitionPenalty = 0 },
        {
            "presence_penalty is Infinity",
            step => step.Sequences[0].Start.Sampling.PresencePenalty = float.PositiveInfinity
        },
        { "frequency_penalty is NaN", step => step.Sequences[0].Start.Sampling.FrequencyPenalty = float.NaN },
        { "logprobs is 21", step => step.Sequences[0].Start.Sampling.Logprobs = 21 },
        { "min_new_tokens is -1", step => step.Sequences[0].Start.Sampling.MinNewTokens = -1 },
        {
            "eos_token_ids is 33, it must be at most 32 ids",
            step => step.Sequences[0].Start.Sampling.EosTokenIds.Add(Enumerable.Range(0, 33))
        },
        { "eos_token_ids is -1", step => step.Sequences[0].Start.Sampling.EosTokenIds.Add(-1) },
    };

    private static ByteString Bytes(params int[] values) =>
        ByteString.CopyFrom([.. values.SelectMany(BitConverter.GetBytes)]); // little-endian, as on every machine that runs the tests

    [Theory]
    [MemberData(nameof(BadSteps), DisableDiscoveryEnumeration = true)]
    public void A_value_out_of_bounds_is_named(string expected, Action<Messages.Step> spoil)
    {
        var step = WireMapping.ToWire(GoodBatch());
        WireMapping.ToRecord(step, s_limits);
        spoil(step);

        var exception = Assert.Throws<WireException>(() => WireMapping.ToRecord(step, s_limits));

        Assert.Contains(expected, exception.Message, StringComparison.Ordinal);
    }

    public static TheoryData<string, Action<Messages.StepResult>> BadResults => new()
    {
        { "step is -1", result => result.Step = -1 },
        { "compute_microseconds is -1", result => result.ComputeMicroseconds = -1 },
        { "peak_resident_bytes is -1", result => result.PeakResidentBytes = -1 },
        { "slot is -1", result => result.Tokens[0].Slot = -1 },
        { "token_id is -1", result => result.Tokens[0].TokenId = -1 },
        { "logprob is NaN", result => result.Tokens[0].Logprob = float.NaN },
        { "top_logprobs.token_id is -1", result => result.Tokens[0].TopLogprobs[0].TokenId = -1 },
        { "top_logprobs.logprob is NaN", result => result.Tokens[0].TopLogprobs[0].Logprob = float.NaN },
        {
            "top_logprobs is 21",
            result => result.Tokens[0].TopLogprobs.Add(Enumerable.Range(0, 20).Select(_ => new Messages.TopLogProb()))
        },
    };

    [Theory]
    [MemberData(nameof(BadResults), DisableDiscoveryEnumeration = true)]
    public void A_bad_result_is_named(string expected, Action<Messages.StepResult> spoil)
    {
        var token = new SampledToken(1, 2, -0.5f, [new TokenLogProb(2, -0.5f)]);
        var result = WireMapping.ToWire(new StepResult(3, [token], 4), 5);
        WireMapping.ToRecord(result);
        spoil(result);

        var exception = Assert.Throws<WireException>(() => WireMapping.ToRecord(result));

        Assert.Contains(expected, exception.Message, StringComparison.Ordinal);
    }

    private static void AddLongSequences(Messages.Step step)
    {
        // 3 rows of sequence 0 and 1 of sequence 1 are there.
        step.Sequences.Add(new Messages.StepSequence { Slot = 2, Tokens = Bytes([.. Enumerable.Range(0, 150)]) });
        step.Sequences.Add(new Messages.StepSequence { Slot = 3, Tokens = Bytes([.. Enumerable.Range(0, 147)]) });
    }

    private static StepBatch GoodBatch() => new(9,
    [
        new StepSequence(0, new SequenceStart(3, new SamplingParameters()), 0, [5, 6, 7], [0, 32], true),
        new StepSequence(1, null, 199, [], [], true),
    ]);

    private static StepBatch RandomBatch(Random random)
    {
        var slots = Enumerable.Range(0, s_limits.MaxSequences).ToArray();
        random.Shuffle(slots);
        var used = slots.Take(random.Next(slots.Length + 1));
        return new StepBatch(
            random.NextInt64(long.MaxValue), used.Select(slot => RandomSequence(random, slot)).ToArray());
    }

    private static StepSequence RandomSequence(Random random, int slot)
    {
        var start = random.Next(2) == 0 ? null : new SequenceStart(random.Next(1, 201), RandomSampling(random));
        var tokens = Ids(random, random.Next(start is null ? 0 : 1, 43));
        var position = random.Next(0, s_limits.MaxContextTokens - Math.Max(1, tokens.Length) + 1);
        var blocks = Enumerable.Range(0, random.Next(4)).Select(_ => random.Next(s_limits.KvBlocks)).ToArray();
        return new StepSequence(slot, start, position, tokens, blocks, random.Next(2) == 0);
    }

    private static SamplingParameters RandomSampling(Random random) => new()
    {
        Temperature = random.NextSingle() * 2,
        TopK = random.Next(100),
        TopP = 1 - random.NextSingle(),
        MinP = random.NextSingle(),
        RepetitionPenalty = random.NextSingle() + 0.1f,
        PresencePenalty = random.NextSingle() - 0.5f,
        FrequencyPenalty = random.NextSingle() - 0.5f,
        Seed = (ulong)random.NextInt64(long.MinValue, long.MaxValue),
        LogProbs = random.Next(21),
        MinNewTokens = random.Next(50),
        EosTokenIds = Ids(random, random.Next(3)),
    };

    private static SampledToken RandomToken(Random random, int slot) => new(
        slot,
        random.Next(int.MaxValue),
        random.Next(2) == 0 ? null : -random.NextSingle(),
        [.. Ids(random, random.Next(21)).Select(id => new TokenLogProb(id, -random.NextSingle()))]);

    private static int[] Ids(Random random, int count) =>
        [.. Enumerable.Range(0, count).Select(_ => random.Next(int.MaxValue))];

    private static bool Same(StepBatch a, StepBatch b) =>
        a.Step == b.Step && a.Sequences.Count == b.Sequences.Count && a.Sequences.Zip(b.Sequences).All(pair =>
            pair.First with { Start = null, Tokens = [], NewBlocks = [] }
                == pair.Second with { Start = null, Tokens = [], NewBlocks = [] }
            && pair.First.Tokens.SequenceEqual(pair.Second.Tokens)
            && pair.First.NewBlocks.SequenceEqual(pair.Second.NewBlocks)
            && Same(pair.First.Start, pair.Second.Start));

    private static bool Same(SequenceStart? a, SequenceStart? b) =>
        a is null || b is null
            ? a == b
            : a.PromptTokens == b.PromptTokens
                && a.Sampling.EosTokenIds.SequenceEqual(b.Sampling.EosTokenIds)
                && a.Sampling with { EosTokenIds = [] } == b.Sampling with { EosTokenIds = [] };
}
