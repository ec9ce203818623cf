using TensorParallel.Coordinator.Planning;
using TensorParallel.Protocol.Architectures;
using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Protocol.Generation;
using TensorParallel.Protocol.Parallel;
using TensorParallel.Worker.Collectives;
using TensorParallel.Worker.Collectives.SharedMemory;
using TensorParallel.Worker.Devices;
using TensorParallel.Worker.Execution;
using TensorParallel.Worker.Modules;
using TensorParallel.Worker.Ops.Cpu;
using TensorParallel.Worker.Tests.Collectives;

namespace TensorParallel.Worker.Tests.Execution;

/// <summary>Runs steps on all ranks of a plan, as threads of this process joined by shared memory.</summary>
internal static class GroupRun
{
    /// <summary>Small limits, so that buffers, blocks and slots are used to their ends.</summary>
    public static LimitsRequest Limits { get; } = new(
        MaxStepTokens: 80, MaxSequences: 5, MaxContextTokens: 128, KvBlockTokens: 8, KvBlocks: 70);

    /// <summary>A plan for CPU ranks.</summary>
    /// <param name="folder">Model folder.</param>
    /// <param name="ranks">Number of ranks.</param>
    /// <param name="dtype">Dtype of the run.</param>
    /// <param name="useDeviceMap">Layers in sequence instead of tensor parallel.</param>
    /// <param name="tpPlan">A custom plan as JSON.</param>
    public static ExecutionPlan Plan(
        string folder, int ranks, DType dtype, bool useDeviceMap = false, string tpPlan = TpPlan.Auto)
    {
        var spec = ArchitectureCatalog.Describe(Checkpoint.Open(folder).Config);
        var plan = Planner.Plan(new PlanRequest(spec, PlanDevice.Cpus(ranks), dtype)
        {
            UseDeviceMap = useDeviceMap,
            TpPlan = tpPlan,
            Limits = Limits,
        });
        return plan.FallbackReasons.Count == 0
            ? plan
            : throw new InvalidOperationException(string.Join(' ', plan.FallbackReasons));
    }

    /// <summary>Loads the plan on all ranks and runs the steps.</summary>
    public static GroupResult Run(string folder, ExecutionPlan plan, IReadOnlyList<StepBatch> steps)
    {
        var results = new IReadOnlyList<StepResult>[plan.WorldSize];
        var logits = new List<StepLogits>[plan.WorldSize];
        OnEachRank(plan, (context, _) =>
        {
            using var model = WorkerModel.Load(folder, plan, context);
            var seen = logits[context.Rank] = [];
            model.Runner.LogitSink = seen.Add;
            results[context.Rank] = [.. steps.Select(model.Step)];
        });
        var reporting = plan.Ranks.First(r => r.HasOutputHead).Rank;
        return new GroupResult(reporting, results, logits);
    }

    /// <summary>
    /// Runs a body on every rank of a plan, each with a poisoned device of its own; rethrows what any of them throws.
    /// </summary>
    public static void OnEachRank(ExecutionPlan plan, Action<RankContext, CpuDevice> body) =>
        OnEachRank(plan.WorldSize, body);

    /// <summary>The same for a number of ranks.</summary>
    public static void OnEachRank(int size, Action<RankContext, CpuDevice> body)
    {
        using var backend = new SharedMemoryBackend();
        var blob = size > 1 ? backend.CreateBootstrap(size, 1 << 20) : [];
        var failures = RankThreads.Each(size, rank =>
        {
            using var device = new CpuDevice($"cpu:{rank}", threads: 1, poison: true);
            using var ops = new CpuOps(device);
            using var collective = size > 1
                ? (rank == 0 ? backend : new SharedMemoryBackend()).Join(blob, rank, size, device, RankThreads.Timeout)
                : new SingleRankCollective(device);
            body(new RankContext(rank, size, device, ops, new CpuSamplingOps(), collective), device);
        });
        if (failures.OfType<Exception>().ToList() is { Count: > 0 } thrown)
        {
            throw new AggregateException(thrown);
        }
    }
}
