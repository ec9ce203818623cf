using TensorParallel.Worker.Collectives;
using TensorParallel.Worker.Devices;
using TensorParallel.Worker.Ops;

namespace TensorParallel.Worker.Modules;

/// <summary>
/// Who computes and with what: handed down to every module, never global, so that a test can run all ranks in one
/// process. Owns nothing.
/// </summary>
/// <param name="Rank">This rank, 0 … Size − 1.</param>
/// <param name="Size">Number of ranks.</param>
/// <param name="Device">Memory.</param>
/// <param name="Ops">Operations on that device.</param>
/// <param name="SamplingOps">Sampling on that device.</param>
/// <param name="Collective">The other ranks.</param>
/// <param name="RecordsSteps">Whether the device may record steps; where operations are timed one by one, it may not.</param>
internal sealed record RankContext(
    int Rank,
    int Size,
    IDevice Device,
    IDeviceOps Ops,
    ISamplingOps SamplingOps,
    ICollective Collective,
    bool RecordsSteps = true)
{
    /// <summary>Takes times; null: nobody asks for them.</summary>
    public IOperationTimes? Times { get; init; }
}
