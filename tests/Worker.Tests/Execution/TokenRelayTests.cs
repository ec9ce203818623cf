using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Protocol.Generation;
using TensorParallel.Worker.Collectives;
using TensorParallel.Worker.Devices;
using TensorParallel.Worker.Execution;
using TensorParallel.Worker.Modules;
using Xunit;

namespace TensorParallel.Worker.Tests.Execution;

/// <summary>When the first stage takes the tokens that the last has drawn.</summary>
public sealed class TokenRelayTests : IDisposable
{
    private const int Slots = 20;
    private readonly int[] _drawn = new int[Slots];
    private readonly int[] _known = new int[Slots];
    private readonly Queue<int[]> _messages = [];
    private readonly CpuDevice _device = new("cpu:0", 1);

    public void Dispose() => _device.Dispose();

    [Fact]
    public void Tokens_are_taken_before_the_step_that_goes_on_with_them()
    {
        var stages = Stages(Slots);
        Run(stages, 1, Prompt(0), Prompt(1)); // connects the two: taken at once
        Assert.Empty(_messages);
        Run(stages, 2, Prompt(2), Prompt(3));
        Run(stages, 3, Continue(0), Continue(1));
        Assert.Equal(2, _messages.Count);
        Run(stages, 4, Continue(2));
        Assert.Equal(2, _messages.Count);
        Run(stages, 5, Chunk(4));
        Assert.Equal(2, _messages.Count);
        Run(stages, 6, Continue(3), Continue(1));
        Assert.Equal([6, 4], _messages.Select(message => message.Max()).Reverse());
        Assert.Equal(6, _messages.Last()[1]);
    }

    [Fact]
    public void More_slots_than_a_message_holds_are_taken_behind_their_own_step()
    {
        var stages = Stages(1 + (ICollective.MostPostedBytes / sizeof(int)));
        for (var step = 1; step < 10; step++)
        {
            Run(stages, step, Prompt(step));
            Assert.Empty(_messages);
        }
    }

    [Fact]
    public void Whatever_comes_no_token_is_old_and_no_more_messages_wait_than_may()
    {
        var stages = Stages(Slots);
        var random = new Random(3);
        var running = new HashSet<int>();
        var most = 0;
        for (var step = 1; step < 5000; step++)
        {
            List<StepSequence> sequences = [];
            for (var slot = 0; slot < Slots; slot++)
            {
                if (random.Next(6) == 0)
                {
                    // A slot whose sequence ended begins anew while its older tokens are still under way.
                    var starts = !running.Contains(slot) || random.Next(8) == 0;
                    sequences.Add(!starts ? Continue(slot) : random.Next(3) == 0 ? Chunk(slot) : Prompt(slot));
                    _ = sequences[^1].Sample ? running.Add(slot) : running.Remove(slot);
                }
            }

            if (sequences.Count > 0)
            {
                Run(stages, step, [.. sequences]);
                most = Math.Max(most, _messages.Count);
            }
        }

        Assert.InRange(most, 2, ICollective.MostPosted);
    }

    private void Run((TokenRelay First, TokenRelay Last) stages, int number, params StepSequence[] sequences)
    {
        var batch = new StepBatch(number, sequences);
        stages.First.BeforeStep(batch);
        foreach (var sequence in sequences)
        {
            Assert.True(sequence.Tokens.Count > 0 || _known[sequence.Slot] == _drawn[sequence.Slot], $"step {number}: an old token");
        }

        stages.Last.BeforeStep(batch);
        foreach (var sequence in sequences.Where(sequence => sequence.Sample && sequence.Slot < Slots))
        {
            _drawn[sequence.Slot] = number;
        }

        stages.Last.AfterStep(batch);
        stages.First.AfterStep(batch);
    }

    private (TokenRelay First, TokenRelay Last) Stages(int slots)
    {
        return (Relay(0), Relay(2));

        TokenRelay Relay(int rank)
        {
            var group = new PostedTokens(rank, 3, () => _messages.Enqueue([.. _drawn]), () => _messages.Dequeue().CopyTo(_known, 0));
            var position = new PipelinePosition(
                false, rank == 0 ? null : rank - 1, rank == 2 ? null : rank + 1, First: 0, Last: 2, Reports: rank == 2);
            var tokens = ((IDevice)_device).AllocateTensor(DType.I32, 1, slots, MemoryPurpose.Workspace);
            return new TokenRelay(new RankContext(rank, 3, _device, null!, null!, group), position, tokens, slots);
        }
    }

    private static StepSequence Prompt(int slot) =>
        new(slot, new SequenceStart(2, new SamplingParameters()), 0, [5, 6], [], Sample: true);

    private static StepSequence Chunk(int slot) =>
        new(slot, new SequenceStart(9, new SamplingParameters()), 0, [5, 6], [], Sample: false);

    private static StepSequence Continue(int slot) => new(slot, null, 2, [], [], Sample: true);
}
