namespace TensorParallel.Coordinator.Api;

/// <summary>What somebody wants loaded, unchecked; null: as on the server's command line.</summary>
/// <param name="Folder">Model folder or <c>config.json</c>.</param>
internal sealed record ModelLoading(string Folder)
{
    /// <summary>Name to serve it under; null: the folder's.</summary>
    public string? Name { get; init; }

    /// <summary>GPUs, one worker each.</summary>
    public IReadOnlyList<int>? Gpus { get; init; }

    /// <summary>Number of CPU workers.</summary>
    public int? CpuWorkers { get; init; }

    /// <summary>The devices and the bytes each may use, as on the command line.</summary>
    public string? MaxMemory { get; init; }

    /// <summary>Dtype of the run.</summary>
    public string? DType { get; init; }

    /// <summary><c>auto</c> or a JSON object.</summary>
    public string? TpPlan { get; init; }

    /// <summary>A strategy or a JSON object.</summary>
    public string? DeviceMap { get; init; }

    /// <summary>Weights are made, not read.</summary>
    public bool RandomWeights { get; init; }

    /// <summary>Longest context in tokens.</summary>
    public int? MaxContext { get; init; }

    /// <summary>Most sequences in a step.</summary>
    public int? MaxSequences { get; init; }

    /// <summary>Most rows in a step.</summary>
    public int? MaxStepTokens { get; init; }

    /// <summary><c>model</c>: it makes room for others while it is idle.</summary>
    public string? Offload { get; init; }
}
