using TensorParallel.Coordinator.Planning.Offloading;
using TensorParallel.Protocol.Parallel;

namespace TensorParallel.Coordinator.Planning.Fit;

/// <summary>What one device computes.</summary>
/// <param name="Device">The device.</param>
/// <param name="Units">Consecutive; may be empty. Those whose weights are off the device are among them.</param>
/// <param name="MemoryBytes">Weights that stay, slots, cache of one context and workspace.</param>
/// <param name="Time">Bytes read for one token over the device's speed, and the way of weights that come to it.</param>
/// <param name="Weights">Its weights.</param>
/// <param name="Choice">What is off the device; null where nothing may be.</param>
internal sealed record FitStage(
    FitDevice Device, IReadOnlyList<FitUnit> Units, long MemoryBytes, double Time, StageWeights Weights, SpillChoice? Choice)
{
    /// <summary>What is off the device, and where it lies.</summary>
    public IReadOnlyList<OffloadedModule> Offloaded { get; init; } = [];
}
