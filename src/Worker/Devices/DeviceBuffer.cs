namespace TensorParallel.Worker.Devices;

/// <summary>
/// A block of memory on one device, aligned to 64 bytes or more. Owned by its <see cref="IDevice"/>; dispose it to return the
/// memory. Not thread-safe.
/// </summary>
internal abstract class DeviceBuffer(long bytes, MemoryPurpose purpose) : IDisposable
{
    /// <summary>Size in bytes.</summary>
    public long Bytes { get; } = bytes;

    /// <summary>What it was allocated for.</summary>
    public MemoryPurpose Purpose { get; } = purpose;

    /// <summary>Address in the device's own address space; only that device's operations may follow it.</summary>
    public abstract nint Address { get; }

    /// <summary>Returns the memory; a second call does nothing.</summary>
    public abstract void Dispose();
}
