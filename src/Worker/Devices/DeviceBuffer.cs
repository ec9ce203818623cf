namespace TensorParallel.Worker.Devices;

/// <summary>
/// A block of memory on one device, or of host memory that the device reads, aligned to 64 bytes or more. Owned by its
/// <see cref="IDevice"/>; dispose it to return the memory. Not thread-safe.
/// </summary>
internal abstract class DeviceBuffer(long bytes, MemoryPurpose purpose) : IDisposable
{
    /// <summary>Size in bytes.</summary>
    public long Bytes { get; } = bytes;

    /// <summary>What it was allocated for.</summary>
    public MemoryPurpose Purpose { get; } = purpose;

    /// <summary>Address in the device's own address space; only that device's operations may follow it.</summary>
    public abstract nint Address { get; }

    /// <summary>Whether the address is one of this process's own memory, so that files can be read straight into it.</summary>
    public virtual bool IsHostMemory => false;

    /// <summary>
    /// A part of it as a buffer that owns nothing: disposing it does nothing, and it may not outlive this one.
    /// </summary>
    public virtual DeviceBuffer Slice(long offset, long bytes) =>
        throw new NotSupportedException($"Memory of {GetType().Name} is not divided.");

    /// <summary>Returns the memory; a second call does nothing.</summary>
    public abstract void Dispose();

    /// <summary>Throws unless the range lies in the buffer.</summary>
    protected void CheckRange(long offset, long bytes)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(offset);
        ArgumentOutOfRangeException.ThrowIfNegative(bytes);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(offset, Bytes - bytes);
    }
}
