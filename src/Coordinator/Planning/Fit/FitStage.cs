namespace TensorParallel.Coordinator.Planning.Fit;

/// <summary>What one device gets.</summary>
/// <param name="Device">The device.</param>
/// <param name="Units">Consecutive; may be empty.</param>
/// <param name="MemoryBytes">
/// Weights, cache of one context, workspace, and room for layers that are brought to it.
/// </param>
/// <param name="Time">Bytes read for one token over the device's speed; without layers that are brought to it.</param>
internal sealed record FitStage(FitDevice Device, IReadOnlyList<FitUnit> Units, long MemoryBytes, double Time);
