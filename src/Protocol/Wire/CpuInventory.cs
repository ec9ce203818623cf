namespace TensorParallel.Protocol.Wire;

/// <summary>The processors of one machine.</summary>
/// <param name="Name">Model name as the kernel tells it.</param>
/// <param name="Cores">Processors this process may use (affinity and cgroup limits applied).</param>
/// <param name="SimdBits">Widest vector the runtime uses: 128, 256 or 512.</param>
/// <param name="MemoryTotalBytes">Installed memory, or the cgroup's limit where that is lower.</param>
/// <param name="MemoryAvailableBytes">Memory that can be allocated without swapping.</param>
/// <param name="NumaNodes">Memory nodes; 1 where the machine has only one.</param>
public sealed record CpuInventory(
    string Name, int Cores, int SimdBits, long MemoryTotalBytes, long MemoryAvailableBytes, int NumaNodes);
