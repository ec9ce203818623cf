namespace TensorParallel.Worker.Devices;

/// <summary>Device memory of one purpose, in bytes.</summary>
/// <param name="Purpose">What for.</param>
/// <param name="Current">Allocated now.</param>
/// <param name="Peak">Most that was allocated at one time.</param>
internal readonly record struct MemoryUse(MemoryPurpose Purpose, long Current, long Peak);
