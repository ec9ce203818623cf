namespace TensorParallel.Coordinator.Benchmarking;

/// <summary>One way of spreading the model, measured.</summary>
internal sealed record ModeReport
{
    /// <summary><c>tensor_parallel</c> or <c>device_map</c>.</summary>
    public required string Mode { get; init; }

    /// <summary>Number of workers.</summary>
    public required int WorldSize { get; init; }

    /// <summary>Parts of the batch that the stages of a device map work on at once; 1: none.</summary>
    public int MicroBatches { get; init; } = 1;

    /// <summary>Most rows of a step.</summary>
    public required int MaxStepTokens { get; init; }

    /// <summary>Weight bytes of all ranks, on their devices and off them.</summary>
    public required long WeightBytes { get; init; }

    /// <summary>Of these, read from files; 0 for random weights.</summary>
    public required long BytesRead { get; init; }

    /// <summary>Rate at which weights were read or made, by the slowest rank's time for them.</summary>
    public required double LoadGigabytesPerSecond { get; init; }

    /// <summary>From start to first token, in order; a part that ranks do at once counts with the slowest of them.</summary>
    public required IReadOnlyList<PartReport> Start { get; init; }

    /// <summary>Kernels that the rank with the most has loaded.</summary>
    public required int KernelsLoaded { get; init; }

    /// <summary>Of these, compiled because no cache had them.</summary>
    public required int KernelsCompiled { get; init; }

    /// <summary>What each rank has allocated after the first step, and uses, beside what was planned.</summary>
    public required IReadOnlyList<RankMemoryReport> Memory { get; init; }

    /// <summary><c>measured</c> by each worker, or <c>given</c> on the command line.</summary>
    public required string ReadRateSource { get; init; }

    /// <summary>Reading rate of each rank's device, in GB/s.</summary>
    public required IReadOnlyList<double> ReadGigabytesPerSecond { get; init; }

    /// <summary>One entry a size; empty with one rank.</summary>
    public required IReadOnlyList<AllReduceReport> AllReduce { get; init; }

    /// <summary>Weights that come over the bus to devices in every step, all ranks together; 0 where all are on them.</summary>
    public long BusBytesPerStep { get; init; }

    /// <summary>The grid.</summary>
    public required IReadOnlyList<CellReport> Cells { get; init; }

    /// <summary>Where a step's time goes; empty unless asked for.</summary>
    public IReadOnlyList<OperationReport> Operations { get; init; } = [];
}
