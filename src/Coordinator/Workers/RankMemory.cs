namespace TensorParallel.Coordinator.Workers;

/// <summary>Device memory of one rank for one purpose.</summary>
/// <param name="Purpose">Weights, KvCache, Workspace, Staging (slots of weights off the device) or HostWeights (in host memory).</param>
/// <param name="CurrentBytes">Allocated now.</param>
/// <param name="PeakBytes">Most that was allocated at one time.</param>
internal readonly record struct RankMemory(string Purpose, long CurrentBytes, long PeakBytes);
