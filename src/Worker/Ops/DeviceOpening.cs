namespace TensorParallel.Worker.Ops;

/// <summary>How to open a device.</summary>
/// <param name="Name">As plans write it: <c>cpu:0</c>, <c>cuda:1</c>.</param>
/// <param name="Threads">Compute threads of a processor, at least 1; other devices need none.</param>
/// <param name="Poison">Fill fresh memory with NaN, so that tests notice reads of unset memory.</param>
/// <param name="MemoryBudgetBytes">Most bytes a processor allocates; null: what the process may use. Other devices have what they have.</param>
/// <param name="Evictable">Weights and KV cache can be taken off the device for a while and come back.</param>
/// <param name="Parts">Parts that every layer is cut into, this device's being one of them: what kernels are tuned for.</param>
internal readonly record struct DeviceOpening(
    string Name, int Threads, bool Poison = false, long? MemoryBudgetBytes = null, bool Evictable = false, int Parts = 1);
