using TensorParallel.Coordinator.Workers;
using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Protocol.Generation;
using TensorParallel.Protocol.Parallel;

namespace TensorParallel.FakeWorkers;

/// <summary>Plans and options for fake workers.</summary>
internal static class FakePlans
{
    private static readonly IndexRange s_one = new(0, 1);

    /// <summary>A plan of the given number of ranks that holds nothing.</summary>
    public static ExecutionPlan Plan(int ranks) => new(
        PlanMode.TensorParallel, ranks, [], null, DType.F32, new StepLimits(64, 8, 128, 16, 64),
        [.. Enumerable.Range(0, ranks).Select(rank => new RankPlan(
            rank, $"cpu:{rank}", 0, 0, 0, s_one, true, true, s_one, s_one, []))],
        []);

    /// <summary>Options of a group of fake workers.</summary>
    public static WorkerGroupOptions Options(
        int ranks, FakeBehaviour behaviour = FakeBehaviour.Good, int rank = 0) => new()
        {
            Plan = Plan(ranks),
            ModelFolder = new FakeScript(behaviour, rank).ToString(),
            ThreadsPerWorker = 1,
        };

    /// <summary>A step of one sequence in slot 3, at the position that equals the step's number.</summary>
    public static StepBatch Step(long step) => new(step, [new StepSequence(3, null, (int)step, [7], [], true)]);
}
