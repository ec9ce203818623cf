namespace TensorParallel.Protocol.Wire;

/// <summary>One CUDA device.</summary>
/// <param name="Index">
/// The driver's ordinal, as in <c>cuda:1</c>; it counts only devices that CUDA_VISIBLE_DEVICES shows.
/// </param>
/// <param name="Name">Product name.</param>
/// <param name="MemoryTotalBytes">Device memory.</param>
/// <param name="ComputeCapability">Major and minor, for example <c>9.0</c>.</param>
public sealed record GpuInventory(int Index, string Name, long MemoryTotalBytes, string ComputeCapability)
{
    /// <summary>Device memory that no process uses; null where the machine does not tell.</summary>
    public long? MemoryFreeBytes { get; init; }
}
