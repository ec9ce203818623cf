using TensorParallel.Worker.Loading;

namespace TensorParallel.Worker.Offloading;

/// <summary>How a rank uses weights that are off its device; what a plan leaves open.</summary>
internal sealed record OffloadOptions
{
    /// <summary>
    /// Set to 0, all weights come to the device for each use; set to 1, the processor computes with all that lie in host memory, in
    /// steps of few rows; else what is faster by measurement.
    /// </summary>
    public const string HostComputeVariable = "TP_OFFLOAD_HOST_COMPUTE";

    /// <summary>Whether the processor computes with weights in host memory; null: chosen.</summary>
    public bool? HostCompute { get; init; } = Environment.GetEnvironmentVariable(HostComputeVariable) switch
    {
        "0" => false,
        "1" => true,
        _ => null,
    };

    /// <summary>
    /// Share of the groups in host memory that the processor computes with, of devices of any kind; null: as measured at the start.
    /// </summary>
    public double? HostShare { get; init; }

    /// <summary>Threads that multiply on the host.</summary>
    public int ComputeThreads { get; init; } = 1;

    /// <summary>Threads that read files.</summary>
    public int Threads { get; init; } = WeightLoader.DefaultThreads;

    /// <summary>Most bytes of one read of a file.</summary>
    public int ChunkBytes { get; init; } = WeightLoader.DefaultChunkBytes;
}
