using TensorParallel.Coordinator.Engine;
using TensorParallel.Coordinator.Planning;
using TensorParallel.Coordinator.Tests.Planning;
using TensorParallel.Protocol.Generation;
using Xunit;

namespace TensorParallel.Coordinator.Tests.Engine;

/// <summary>
/// What micro-batches are worth on four stages of two billion parameters each, times in milliseconds as an H200 has them by its
/// memory's and its tensor cores' rate: 1 ms to read a stage's weights, 0.01 ms for the keys and values of a sequence of 1,152 tokens,
/// 0.0068 ms to compute a row.
/// </summary>
public sealed class PipeliningTests
{
    private const int Stages = 4;

    [Fact]
    public void Eight_long_prompts_are_computed_more_than_three_times_as_fast()
    {
        var (one, four) = (Run(1, 8, 2048, 20), Run(Stages, 8, 2048, 20));

        Assert.InRange(FirstTokens(one) / FirstTokens(four), 3.2, 4);
    }

    [Fact]
    public void One_long_prompt_is_computed_faster_too()
    {
        var (one, four) = (Run(1, 1, 2048, 20), Run(Stages, 1, 2048, 20));

        Assert.InRange(FirstTokens(one) / FirstTokens(four), 2, 4);
    }

    [Fact]
    public void Many_sequences_get_their_tokens_as_fast_as_the_stages_can_work()
    {
        var (one, four) = (Run(1, 256, 8, 60), Run(Stages, 256, 8, 60));

        Assert.InRange(TokenTime(one) / (Stages * StepTime(0, 256)), 0.999, 1.02);
        Assert.InRange(TokenTime(four) / (Stages * StepTime(0, 64)), 0.999, 1.02);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(9)]
    public void Few_sequences_are_not_slower(int sequences)
    {
        var (one, four) = (Run(1, sequences, 8, 200), Run(Stages, sequences, 8, 200));

        Assert.InRange(TokenTime(four) / TokenTime(one), 0.5, sequences == 1 ? 1 : 1.02);
    }

    [Theory]
    [InlineData(1, 1, 4096)]
    [InlineData(1, 5, 3000)]
    [InlineData(1, 256, 8)]
    [InlineData(Stages, 1, 4096)]
    [InlineData(Stages, 5, 3000)]
    [InlineData(Stages, 256, 8)]
    public void With_one_part_no_stage_works_beside_another(int microBatches, int sequences, int promptTokens)
    {
        var simulation = Simulate(microBatches, sequences, promptTokens, 20);

        Assert.Equal(microBatches > 1, simulation.StagesOverlapped);
    }

    [Fact]
    public void One_stage_at_a_time_means_nothing_where_all_devices_compute_every_step()
    {
        var tensorParallel = Planner.Plan(PlanCases.OnCpus(PlanCases.Public("llama-3.1-8b"), 2));
        var stages = Planner.Plan(PlanCases.OnCpus(PlanCases.Public("llama-3.1-8b"), 2) with { UseDeviceMap = true });

        Assert.Equal(
            (false, true, false, false),
            (MicroBatches.IsOneStageAtATime(tensorParallel, 1), MicroBatches.IsOneStageAtATime(stages, 1),
                MicroBatches.IsOneStageAtATime(stages, 2), MicroBatches.IsOneStageAtATime(stages, null)));
    }

    private static double StepTime(int promptRows, int decoding) =>
        Math.Max(1 + (0.01 * decoding), 0.0068 * (promptRows + decoding)) + 0.05;

    private static Dictionary<Sequence, List<double>> Run(int microBatches, int sequences, int promptTokens, int newTokens) =>
        Simulate(microBatches, sequences, promptTokens, newTokens).Tokens;

    private static SimulatedStages Simulate(int microBatches, int sequences, int promptTokens, int newTokens)
    {
        var limits = new StepLimits(
            MaxStepTokens: 2048, MaxSequences: 256, MaxContextTokens: 8192, KvBlockTokens: 16, KvBlocks: 256 * 256);
        var waiting = new WaitingQueue(256);
        for (var i = 0; i < sequences; i++)
        {
            Assert.True(waiting.TryReserve());
            waiting.Enqueue(new Sequence(EngineFixture.Request(promptTokens, newTokens)));
        }

        var simulation = new SimulatedStages(
            new Scheduler(limits, waiting, microBatches, oneStageAtATime: microBatches == 1), Stages, StepTime);
        simulation.Run();
        Assert.Equal(sequences, simulation.Tokens.Count);
        Assert.All(simulation.Tokens.Values, tokens => Assert.Equal(newTokens, tokens.Count));
        return simulation;
    }

    private static double FirstTokens(Dictionary<Sequence, List<double>> tokens) => tokens.Values.Max(times => times[0]);

    // In the middle of decoding, of the slowest sequence.
    private static double TokenTime(Dictionary<Sequence, List<double>> tokens) =>
        tokens.Values.Max(times => (times[^5] - times[10]) / (times.Count - 15));
}
