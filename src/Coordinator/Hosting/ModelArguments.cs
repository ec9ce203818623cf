using TensorParallel.Coordinator.Planning.DeviceMaps;
using TensorParallel.Coordinator.Planning.Offloading;
using TensorParallel.Coordinator.Sharding;

namespace TensorParallel.Coordinator.Hosting;

/// <summary>What the user asked of a model run, unchecked; null means "not given".</summary>
internal sealed record ModelArguments
{
    /// <summary>Model folder, or for planning and random weights a bare <c>config.json</c>; null: the demo model.</summary>
    public string? Model { get; init; }

    /// <summary>Name under which the model is served; null: the folder's.</summary>
    public string? Name { get; init; }

    /// <summary>The whole model may be taken off its devices while nobody uses it.</summary>
    public bool Evictable { get; init; }

    /// <summary>Weights are made on the devices; none are read.</summary>
    public bool RandomWeights { get; init; }

    /// <summary>Workers time every operation, for <c>bench --profile</c>.</summary>
    public bool TimeOperations { get; init; }

    /// <summary><c>auto</c>, a JSON file, or an inline JSON object.</summary>
    public string? TpPlan { get; init; }

    /// <summary>Device map: a strategy, a JSON file or an inline JSON object; null: tensor parallelism.</summary>
    public string? DeviceMap { get; init; }

    /// <summary>The places that exist, and their budgets.</summary>
    public IReadOnlyList<DeviceBudget>? MaxMemory { get; init; }

    /// <summary>How weights that are off the devices come to them.</summary>
    public OffloadRequest Offload { get; init; } = new();

    /// <summary>How fast devices read, by number; those not named are as fast as 1.</summary>
    public IReadOnlyList<KeyValuePair<string, double>> DeviceSpeeds { get; init; } = [];

    /// <summary>GPU indices.</summary>
    public IReadOnlyList<int>? Gpus { get; init; }

    /// <summary>Number of CPU workers.</summary>
    public int? CpuWorkers { get; init; }

    /// <summary>A custom plan that cannot be honoured may fall back to a device map.</summary>
    public bool Fallback { get; init; }

    /// <summary><c>auto</c>, <c>float32</c>, <c>bfloat16</c> or <c>float16</c>.</summary>
    public string DType { get; init; } = "auto";

    /// <summary><c>auto</c>, <c>off</c>, or the folder of the shard sets to use.</summary>
    public string Shards { get; init; } = ShardChoice.Auto;

    /// <summary>Compute threads of all CPU workers together.</summary>
    public int? Threads { get; init; }

    /// <summary>Threads of all workers together that read weights.</summary>
    public int? LoadThreads { get; init; }

    /// <summary>Longest context in tokens.</summary>
    public int? MaxContext { get; init; }

    /// <summary>Most sequences in one step.</summary>
    public int? MaxSequences { get; init; }

    /// <summary>Most rows in one step.</summary>
    public int? MaxStepTokens { get; init; }

    /// <summary>Parts that running sequences are divided into so that stages of a device map work at once.</summary>
    public int? MicroBatches { get; init; }

    /// <summary>Longest time a worker may take over one step.</summary>
    public TimeSpan? StepTimeout { get; init; }
}
