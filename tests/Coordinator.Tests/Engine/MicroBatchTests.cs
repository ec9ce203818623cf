using TensorParallel.Coordinator.Engine;
using TensorParallel.Protocol.Generation;
using Xunit;

namespace TensorParallel.Coordinator.Tests.Engine;

/// <summary>Steps of a device map whose stages work at once, without a group: the scheduler alone.</summary>
public sealed class MicroBatchTests
{
    private static readonly StepLimits s_limits = new(
        MaxStepTokens: 2048, MaxSequences: 64, MaxContextTokens: 8192, KvBlockTokens: 16, KvBlocks: 8192);

    private readonly WaitingQueue _waiting = new(64);
    private readonly Queue<ScheduledStep> _inFlight = [];

    [Theory]
    [InlineData(8, 4, new[] { 2, 2, 2, 2 })]
    [InlineData(9, 4, new[] { 2, 2, 2, 3 })]
    [InlineData(3, 4, new[] { 1, 1, 1 })]
    [InlineData(5, 2, new[] { 2, 3 })]
    [InlineData(5, 1, new[] { 5 })]
    public void Decoding_sequences_are_divided_evenly_and_stay_together(int sequences, int parts, int[] sizes)
    {
        var scheduler = Started(parts, sequences);
        Run(scheduler, 4 * parts);

        var rounds = Enumerable.Range(0, 3).Select(_ => Enumerable.Range(0, sizes.Length).Select(_ => Turn(scheduler)).ToArray()).ToArray();

        Assert.Equal(sizes.Order(), rounds[0].Select(step => step.Length).Order());
        Assert.Equal(Enumerable.Range(0, sequences), rounds[0].SelectMany(step => step).Order());
        Assert.Equal(rounds[0], rounds[1]);
        Assert.Equal(rounds[0], rounds[2]);
    }

    [Fact]
    public void A_sequence_is_at_most_one_step_ahead_of_its_token()
    {
        var scheduler = Started(4, 1);
        Run(scheduler, 4);
        while (_inFlight.Count > 0)
        {
            Complete(scheduler);
        }

        Assert.True(Send(scheduler));
        Assert.True(Send(scheduler));
        Assert.False(Send(scheduler));
        Complete(scheduler);
        Assert.True(Send(scheduler));
        Assert.False(Send(scheduler));
    }

    [Fact]
    public void Ends_are_evened_out_within_a_round()
    {
        var scheduler = Started(4, 16);
        Run(scheduler, 20);
        var ended = _inFlight.Take(2).SelectMany(step => step.Sequences).Distinct().ToList();
        Assert.Equal(8, ended.Count);

        ended.ForEach(sequence => scheduler.End(sequence, null));
        Run(scheduler, 8);

        Assert.All(Enumerable.Range(0, 8), _ => Assert.Equal(2, Turn(scheduler).Length));
        Assert.Equal(8, scheduler.Running);
    }

    [Fact]
    public void No_step_waits_for_tokens_that_are_still_on_their_way_through_the_stages()
    {
        const int Parts = 4;
        var scheduler = new Scheduler(s_limits, _waiting, Parts);
        var random = new Random(5);
        var lastStep = new Dictionary<Sequence, long>();
        for (var turn = 0; turn < 3000; turn++)
        {
            if (random.Next(40) == 0)
            {
                Add(random.Next(1, 1500), random.Next(5, 200));
            }

            var sent = 0;
            while (_inFlight.Count <= Parts && Send(scheduler))
            {
                sent++;
                var step = _inFlight.Last();
                var decoding = step.Sequences.Where((_, i) => step.Batch.Sequences[i].Tokens.Count == 0).ToList();
                var prefilling = step.Batch.Sequences.Any(entry => entry.Tokens.Count > 0);
                foreach (var sequence in decoding)
                {
                    var distance = step.Batch.Step - lastStep[sequence];
                    var isAnswered = !_inFlight.Any(flying => flying.Batch.Step == lastStep[sequence]);
                    Assert.True(isAnswered || distance >= (prefilling ? Parts : Math.Min(Parts, scheduler.Running)) || decoding.Count == 1,
                        $"step {step.Batch.Step} goes on {distance} steps after the one that draws its token");
                }

                foreach (var sequence in step.Sequences)
                {
                    lastStep[sequence] = step.Batch.Step;
                }
            }

            if (_inFlight.Count > 0)
            {
                Complete(scheduler);
            }
        }

        Assert.True(lastStep.Count > 50);
    }

    [Fact]
    public void A_long_prompt_goes_through_the_stages_in_chunks_that_do_not_wait_for_each_other()
    {
        var scheduler = new Scheduler(s_limits, _waiting, 4);
        Add(2048, 3);
        for (var chunk = 0; chunk < 8; chunk++)
        {
            Assert.True(Send(scheduler));
            var entry = _inFlight.Last().Batch.Sequences.Single();
            Assert.Equal((256 * chunk, 256, chunk == 7), (entry.Position, entry.Tokens.Count, entry.Sample));
        }

        // Its first token is no step's before the chunks ahead of the last are through.
        Assert.False(Send(scheduler));
    }

    [Theory]
    [InlineData(4, 16_384, 0, 1024)]
    [InlineData(4, 16_384, 3, 1021)]
    [InlineData(4, 16_384, 130, 1022)]
    [InlineData(4, 600, 0, 384)]
    [InlineData(4, 600, 5, 379)]
    [InlineData(4, 300, 5, 384)]
    [InlineData(2, 16_384, 0, 2048)]
    [InlineData(8, 1_000_000, 0, 30_720)]
    [InlineData(4, 13 * 2048, 0, 1024)]
    [InlineData(4, 13 * 2048, 5, 1019)]
    [InlineData(1, 16_384, 7, int.MaxValue)]
    public void Prompt_steps_are_short_enough_to_fill_the_stages_and_fill_tiles(int parts, int rows, int decoding, int expected) =>
        Assert.Equal(expected, new PromptChunks(parts).Next(rows, decoding));

    [Fact]
    public void Prompt_steps_do_not_shrink_until_no_prompt_is_left()
    {
        var chunks = new PromptChunks(4);
        Assert.Equal([256, 1024, 1024, 1024, 0, 256], ((int[])[2048, 16_384, 9000, 10, 0, 2048]).Select(rows => chunks.Next(rows, 0)));
    }

    private Scheduler Started(int parts, int sequences)
    {
        var scheduler = new Scheduler(s_limits, _waiting, parts);
        for (var i = 0; i < sequences; i++)
        {
            Add(3, 1000);
        }

        return scheduler;
    }

    private void Add(int promptTokens, int maxNewTokens)
    {
        if (_waiting.TryReserve())
        {
            _waiting.Enqueue(new Sequence(EngineFixture.Request(promptTokens, maxNewTokens)));
        }
    }

    /// <summary>Keeps as many steps in flight as an engine does, for so many answers.</summary>
    private void Run(Scheduler scheduler, int answers)
    {
        for (var i = 0; i < answers; i++)
        {
            Fill(scheduler);
            Complete(scheduler);
        }

        Fill(scheduler);
    }

    private void Fill(Scheduler scheduler)
    {
        while (_inFlight.Count <= scheduler.MicroBatches && Send(scheduler))
        {
        }
    }

    private bool Send(Scheduler scheduler)
    {
        if (scheduler.Next() is not { } step)
        {
            return false;
        }

        _inFlight.Enqueue(step);
        return true;
    }

    private void Complete(Scheduler scheduler)
    {
        var step = _inFlight.Dequeue();
        var tokens = step.Batch.Sequences.Where(entry => entry.Sample).Select(entry => new SampledToken(entry.Slot, 7, null, []));
        scheduler.Complete(step, new StepResult(step.Batch.Step, [.. tokens], 1), 0);
    }

    /// <summary>An answer, and the slots of the step that is sent then.</summary>
    private int[] Turn(Scheduler scheduler)
    {
        Complete(scheduler);
        Assert.True(Send(scheduler));
        return [.. _inFlight.Last().Batch.Sequences.Select(entry => entry.Slot)];
    }
}
