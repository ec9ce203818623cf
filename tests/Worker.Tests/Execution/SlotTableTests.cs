using TensorParallel.Protocol.Generation;
using TensorParallel.Worker.Execution;
using Xunit;

namespace TensorParallel.Worker.Tests.Execution;

public class SlotTableTests
{
    private static readonly StepLimits s_limits = new(
        MaxStepTokens: 10, MaxSequences: 3, MaxContextTokens: 12, KvBlockTokens: 4, KvBlocks: 8);

    private static readonly SequenceStart s_start = new(5, new SamplingParameters());

    [Fact]
    public void ASequenceGrowsStepByStep()
    {
        var table = new SlotTable(s_limits, vocabularySize: 50);
        Run(table, 7, New(1, [1, 2, 3, 4, 5], [6, 2], sample: false));
        Run(table, 8, new StepSequence(1, null, 5, [9], [], Sample: true));
        Run(table, 9, Continue(1, 6), New(0, [4], [0]));
        Assert.Equal(7, table[1].Length);
        Assert.Equal([6, 2], table[1].Blocks);
        Run(table, 10, New(1, [3], [5]));
        Assert.Equal(1, table[1].Length);
        Assert.Equal([5], table[1].Blocks);
    }

    [Fact]
    public void LengthsAreThoseBeforeTheStepUntilItEnds()
    {
        var table = new SlotTable(s_limits, 50);
        table.Begin(new StepBatch(1, [New(0, [1, 2], [0])]));
        Assert.Equal(0, table[0].Length);
    }

    public static TheoryData<string, StepSequence[]> Broken { get; } = new()
    {
        { "has 0 sequences", [] },
        { "has 4 sequences", [New(0, [1], [0]), New(1, [1], [1]), New(2, [1], [4]), New(2, [1], [5])] },
        { "has 11 rows", [New(1, [1, 2, 3, 4, 5, 6], [0, 1]), New(2, [1, 2, 3, 4, 5], [4, 5])] },
        { "outside 0 … 2", [New(3, [1], [0])] },
        { "outside 0 … 2", [New(-1, [1], [0])] },
        { "slot occurs twice", [New(1, [1], [0]), New(1, [1], [1])] },
        { "never started", [Continue(1, 0)] },
        { "goes on at position 4 but holds 3", [Continue(0, 4)] },
        { "goes on at position 2 but holds 3", [Continue(0, 2)] },
        { "goes on at position 1 but holds 0", [New(1, [1], [0]) with { Position = 1 }] },
        { "sampled none", [Continue(0, 3)] },
        { "sampled none", [New(0, [], [7])] },
        { "token 50 is outside the vocabulary of 50", [New(1, [3, 50], [0])] },
        { "token -1 is outside", [New(1, [-1], [0])] },
        { "1 KV blocks of 4 for 5 tokens", [New(1, [1, 2, 3, 4, 5], [0])] },
        { "4 KV blocks of 4 for 1 tokens", [New(1, [1], [0, 1, 4, 5])] },
        { "1 KV blocks of 4 for 5 tokens", [new StepSequence(0, null, 3, [1, 1], [], true)] },
        { "KV block 8 is outside 0 … 7", [New(1, [1], [8])] },
        { "KV block -1 is outside", [New(1, [1], [-1])] },
        { "KV block 3 occurs twice", [New(1, [1], [3, 3])] },
        { "KV block 2 occurs twice", [new StepSequence(0, null, 3, [1], [2], true)] },
        { "would hold 13 tokens", [new StepSequence(0, null, 3, [1, 1, 1, 1, 1, 1, 1, 1, 1, 1], [0, 1], true)] },
    };

    [Theory]
    [MemberData(nameof(Broken))]
    public void ABrokenStepChangesNothing(string says, StepSequence[] sequences)
    {
        var table = new SlotTable(s_limits, 50);
        Run(table, 1, New(0, [1, 2, 3], [2], sample: false));
        var error = Assert.Throws<StepException>(() => table.Begin(new StepBatch(2, sequences)));
        Assert.Contains("Step 2", error.Message, StringComparison.Ordinal);
        Assert.Contains(says, error.Message, StringComparison.Ordinal);
        Assert.Equal(3, table[0].Length);
        Assert.Equal([2], table[0].Blocks);
        Assert.Empty(table[1].Blocks);
        Run(table, 2, new StepSequence(0, null, 3, [4], [], true));
    }

    [Fact]
    public void ALostStepIsNoticed()
    {
        var table = new SlotTable(s_limits, 50);
        Run(table, 4, New(0, [1], [2]));
        var error = Assert.Throws<StepException>(() => table.Begin(new StepBatch(6, [Continue(0, 1)])));
        Assert.Contains("follows step 4", error.Message, StringComparison.Ordinal);
    }

    private static void Run(SlotTable table, long step, params StepSequence[] sequences)
    {
        var batch = new StepBatch(step, sequences);
        table.Begin(batch);
        table.End(batch);
    }

    private static StepSequence New(int slot, int[] tokens, int[] blocks, bool sample = true) =>
        new(slot, s_start, 0, tokens, blocks, sample);

    private static StepSequence Continue(int slot, int position) => new(slot, null, position, [], [], true);
}
