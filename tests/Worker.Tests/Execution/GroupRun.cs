using TensorParallel.Coordinator.Planning;
using TensorParallel.Protocol.Architectures;
using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Protocol.Generation;
using TensorParallel.Protocol.Parallel;
using TensorParallel.Worker.Collectives;
using TensorParallel.Worker.Devices;
using TensorParallel.Worker.Execution;
using TensorParallel.Worker.Modules;
using TensorParallel.Worker.Ops;
using TensorParallel.Worker.Tests.Collectives;

namespace TensorParallel.Worker.Tests.Execution;

/// <summary>Runs steps on all ranks of a plan, as threads of this process with a device each.</summary>
internal static class GroupRun
{
    /// <summary>Small limits, so that buffers, blocks and slots are used to their ends.</summary>
    public static LimitsRequest Limits { get; } = new(
        MaxStepTokens: 80, MaxSequences: 5, MaxContextTokens: 128, KvBlockTokens: 8, KvBlocks: 70);

    /// <summary>A plan for ranks on devices 0, 1 and so on of one kind.</summary>
    /// <param name="folder">Model folder.</param>
    /// <param name="ranks">Number of ranks.</param>
    /// <param name="dtype">Dtype of the run.</param>
    /// <param name="useDeviceMap">Layers in sequence instead of tensor parallel.</param>
    /// <param name="tpPlan">A custom plan as JSON.</param>
    /// <param name="kind">Kind of the devices.</param>
    public static ExecutionPlan Plan(
        string folder, int ranks, DType dtype, bool useDeviceMap = false, string tpPlan = TpPlan.Auto,
        string kind = DeviceKinds.Cpu)
    {
        var spec = ArchitectureCatalog.Describe(Checkpoint.Open(folder).Config);
        var devices = Enumerable.Range(0, ranks).Select(rank => new PlanDevice($"{kind}:{rank}")).ToList();
        var plan = Planner.Plan(new PlanRequest(spec, devices, dtype)
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
    /// <param name="plan">The plan.</param>
    /// <param name="body">What each rank does.</param>
    /// <param name="evictable">Devices are opened so that weights and cache can be evicted.</param>
    public static void OnEachRank(ExecutionPlan plan, Action<RankContext, IDevice> body, bool evictable = false) =>
        OnEachRank([.. plan.Ranks.Select(rank => rank.Device)], body, evictable);

    /// <summary>The same for a number of CPU ranks.</summary>
    public static void OnEachRank(int size, Action<RankContext, IDevice> body) =>
        OnEachRank([.. PlanDevice.Cpus(size).Select(device => device.Name)], body);

    private static void OnEachRank(string[] devices, Action<RankContext, IDevice> body, bool evictable = false)
    {
        var (size, backendName) = (devices.Length, DeviceKinds.CollectiveBackend(devices[0]));
        var rankZero = CollectiveCatalog.Create(backendName);
        using var _ = rankZero as IDisposable;
        var blob = rankZero.CreateBootstrap(size, 1 << 20);
        var failures = RankThreads.Each(size, rank =>
        {
            using var backend = DeviceBackendCatalog.Open(new DeviceOpening(devices[rank], Threads: 1, Poison: true, Evictable: evictable));
            var (device, ops, sampling) = backend;
            using var collective = (rank == 0 ? rankZero : CollectiveCatalog.Create(backendName))
                .Join(blob, rank, size, device, RankThreads.Timeout);
            body(new RankContext(rank, size, device, ops, sampling, collective), device);
        });
        if (failures.OfType<Exception>().ToList() is { Count: > 0 } thrown)
        {
            throw new AggregateException(thrown);
        }
    }
}
