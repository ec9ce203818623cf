using TensorParallel.Protocol.Parallel;

namespace TensorParallel.Coordinator.Workers;

/// <summary>What a group runs, and how long it waits for its workers.</summary>
internal sealed record WorkerGroupOptions
{
    private const int MostLoadThreads = 16;

    /// <summary>The plan; one worker a rank.</summary>
    public required ExecutionPlan Plan { get; init; }

    /// <summary>The checkpoint's folder, as the workers see it; for random weights a <c>config.json</c>.</summary>
    public required string ModelFolder { get; init; }

    /// <summary>A shard set of the plan, read instead of the checkpoint's own files; null: those.</summary>
    public string? ShardFolder { get; init; }

    /// <summary>Workers make the weights instead of reading them.</summary>
    public bool RandomWeights { get; init; }

    /// <summary>Workers hold weights and KV cache such that they can be evicted.</summary>
    public bool Evictable { get; init; }

    /// <summary>Workers time every operation.</summary>
    public bool TimeOperations { get; init; }

    /// <summary>
    /// Compute threads of each worker; null divides the processors: 2 workers on 5 processors get 2 each.
    /// </summary>
    public int? ThreadsPerWorker { get; init; }

    /// <summary>
    /// Threads of each worker that read weights; null divides the processors, at most 16 each: beyond that they wait for memory.
    /// </summary>
    public int? LoadThreadsPerWorker { get; init; }

    /// <summary>From the start of a process to its first message.</summary>
    public TimeSpan HelloTimeout { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>Longest silence of a rank while it loads.</summary>
    public TimeSpan LoadStallTimeout { get; init; } = TimeSpan.FromMinutes(2);

    /// <summary>
    /// Longest wait for the answers to one step; generous, since a long prompt on processors takes minutes.
    /// </summary>
    public TimeSpan StepTimeout { get; init; } = TimeSpan.FromMinutes(10);

    /// <summary>
    /// Longest wait of a rank for a peer inside a step. Shorter than <see cref="StepTimeout"/>, because the rank's own
    /// message says more; not much shorter, because a pipeline's last stage waits for all the others.
    /// </summary>
    public TimeSpan CollectiveTimeout { get; init; } = TimeSpan.FromMinutes(9);

    /// <summary>What workers get to end by themselves after a stop.</summary>
    public TimeSpan StopGrace { get; init; } = TimeSpan.FromSeconds(3);

    /// <summary>Name of the collective backend: that of the plan's devices, which are all of one kind.</summary>
    public string Collective => DeviceKinds.CollectiveBackend(Plan.Ranks[0].Device);

    /// <summary>Threads of each worker that read weights, at least 1: 4 workers on 32 processors get 8 each.</summary>
    public int LoadThreads =>
        LoadThreadsPerWorker ?? Math.Clamp(Environment.ProcessorCount / Plan.WorldSize, 1, MostLoadThreads);

    /// <summary>Compute threads of each worker, at least 1.</summary>
    public int Threads => ThreadsPerWorker ?? Math.Max(1, Environment.ProcessorCount / Plan.WorldSize);
}
