using TensorParallel.Protocol.Checkpoints;

namespace TensorParallel.Worker.Devices;

/// <summary>
/// One compute device and its memory. Operations on it run in order; only <see cref="Synchronize"/> and <see cref="CopyToHost"/>
/// wait for them. Used by one thread, except <see cref="CopyToDevice"/> and <see cref="IUploadTarget.OpenUploadLane"/>, which loader
/// threads may call at once for disjoint targets. Disposing it disposes every buffer it still owns.
/// </summary>
internal interface IDevice : IUploadTarget, IDisposable
{
    /// <summary>Name as plans write it, for example <c>cpu:0</c>.</summary>
    string Name { get; }

    /// <summary>Allocates uninitialised memory, aligned to 64 bytes. Throws <see cref="DeviceMemoryException"/> when there is none.</summary>
    DeviceBuffer Allocate(long bytes, MemoryPurpose purpose);

    /// <summary>Copies host bytes into a buffer at <paramref name="offset"/>; returns when <paramref name="source"/> may be reused.</summary>
    void CopyToDevice(ReadOnlySpan<byte> source, DeviceBuffer target, long offset);

    /// <inheritdoc/>
    IUploadLane IUploadTarget.OpenUploadLane(int slotBytes) => new HostUploadLane(this, slotBytes);

    /// <summary>Whether its memory is the host's, so that operations read weights in host memory as fast as any.</summary>
    bool IsHostMemory => false;

    /// <summary>
    /// Allocates uninitialised host memory for weights that are off the device: operations may read it where it lies, and an
    /// <see cref="ICopyQueue"/> copies out of it at the speed of the bus.
    /// </summary>
    /// <exception cref="DeviceMemoryException">There is no such memory.</exception>
    DeviceBuffer AllocateHost(long bytes) => Allocate(bytes, MemoryPurpose.HostWeights);

    /// <summary>A queue of copies beside the device's own order of work; the caller disposes it before the device.</summary>
    ICopyQueue OpenCopyQueue() => new ImmediateCopyQueue(this);

    /// <summary>Waits for the work before it, then copies device bytes to the host.</summary>
    void CopyToHost(DeviceBuffer source, long offset, Span<byte> target);

    /// <summary>
    /// Queues a copy of at most 64 KB to the host behind the work before it and returns; 0 bytes only tell when that work is done.
    /// </summary>
    IPendingCopy CopyToHostLater(DeviceBuffer source, long offset, int bytes)
    {
        var target = new byte[bytes];
        CopyToHost(source, offset, target);
        return new FinishedCopy(target);
    }

    /// <summary>Copies on the device, in order with everything else; the ranges may not overlap.</summary>
    void Copy(DeviceBuffer source, long sourceOffset, DeviceBuffer target, long targetOffset, long bytes);

    /// <summary>A place for work that will come again; the caller disposes it before the device.</summary>
    IRepeatedWork RepeatWork() => new ImmediateWork();

    /// <summary>Sets a range of bytes to zero.</summary>
    void Clear(DeviceBuffer target, long offset, long bytes);

    /// <summary>Returns when everything issued so far is done.</summary>
    void Synchronize();

    /// <summary>Current and peak bytes, one entry a purpose. Any thread.</summary>
    IReadOnlyList<MemoryUse> MemoryUse();

    /// <summary>Bytes of its own memory that no process uses; null: it has none of its own, or does not tell.</summary>
    long? FreeMemoryBytes => null;

    /// <summary>From now on peaks are counted anew, from what is allocated at this moment. Any thread.</summary>
    void ResetPeaks();

    /// <summary>The whole device's memory.</summary>
    DeviceMemory Memory();

    /// <summary>
    /// Gives back the device memory of weights and KV cache; the buffers live on and keep, on devices that record work, their
    /// addresses, but nothing may use them until <see cref="Restore"/>. Weights go to host memory. Waits for what was issued before.
    /// Workspace stays: it is small, holds tables made at load, and peers have parts of it mapped.
    /// </summary>
    /// <exception cref="DeviceMemoryException">The host has too little memory for the weights; nothing has been given back.</exception>
    MovedMemory Evict() => throw new NotSupportedException($"{Name} was not opened for eviction.");

    /// <summary>
    /// Takes the memory again and brings the weights back; the KV cache is as fresh. Returns when it is done.
    /// </summary>
    /// <exception cref="DeviceMemoryException">Others took the memory meanwhile: the device cannot be used any more.</exception>
    MovedMemory Restore() => throw new NotSupportedException($"{Name} was not opened for eviction.");

    /// <summary>Allocates a dense [rows, columns] tensor of its own buffer; the caller disposes <c>Buffer</c>.</summary>
    Tensor AllocateTensor(DType dtype, int rows, int columns, MemoryPurpose purpose) =>
        new(Allocate(Math.Max(1, (long)rows * columns * dtype.SizeInBytes()), purpose), 0, dtype, rows, columns, columns);
}
