using System.Runtime.InteropServices;
using TensorParallel.Worker.Native;

namespace TensorParallel.Worker.Devices;

/// <summary>
/// The processor as a device: native memory and a pool of threads. Operations are done when they return.
/// </summary>
/// <param name="name">Name as plans write it, for example <c>cpu:0</c>.</param>
/// <param name="threads">Threads that operations use, the calling one included.</param>
/// <param name="memoryBudgetBytes">Most bytes to allocate, without scratch; null: what this process may use by the
/// system's account.</param>
/// <param name="poison">Fill fresh memory with 0xFF (NaN in every float dtype), so that tests notice reads of unset
/// memory.</param>
internal sealed unsafe partial class CpuDevice(string name, int threads, long? memoryBudgetBytes = null, bool poison = false)
    : IDevice
{
    private const nuint HugePageBytes = 2 << 20;

    private readonly Lock _lock = new();
    private readonly HashSet<CpuBuffer> _buffers = [];
    private readonly long[] _current = new long[Enum.GetValues<MemoryPurpose>().Length];
    private readonly long[] _peak = new long[Enum.GetValues<MemoryPurpose>().Length];
    private readonly long _budget = memoryBudgetBytes ?? GC.GetGCMemoryInfo().TotalAvailableMemoryBytes;
    private bool _disposed;

    public string Name { get; } = name;

    /// <summary>The threads that operations on this device share.</summary>
    public CpuThreads Threads { get; } = new(threads);

    public bool IsHostMemory => true;

    public DeviceBuffer Allocate(long bytes, MemoryPurpose purpose)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(bytes);
        lock (_lock)
        {
            ObjectDisposedException.ThrowIf(_disposed, this);
            var buffer = new CpuBuffer(this, Take(bytes, purpose), bytes, purpose);
            _buffers.Add(buffer);
            return buffer;
        }
    }

    /// <summary>Memory of this process that another owns, for operations of this device; it counts in nobody's books.</summary>
    public CpuBuffer View(nint address, long bytes) => new(this, address, bytes);

    public ICopyQueue OpenCopyQueue() => new CpuCopyQueue(Name, isLate: poison);

    public void CopyToDevice(ReadOnlySpan<byte> source, DeviceBuffer target, long offset) =>
        source.CopyTo(new Span<byte>(Range(target, offset, source.Length), source.Length));

    public void CopyToHost(DeviceBuffer source, long offset, Span<byte> target) =>
        new ReadOnlySpan<byte>(Range(source, offset, target.Length), target.Length).CopyTo(target);

    public void Copy(DeviceBuffer source, long sourceOffset, DeviceBuffer target, long targetOffset, long bytes)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(bytes);
        var from = Range(source, sourceOffset, bytes);
        NativeMemory.Copy(from, Range(target, targetOffset, bytes), (nuint)bytes);
    }

    public void Clear(DeviceBuffer target, long offset, long bytes)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(bytes);
        NativeMemory.Clear(Range(target, offset, bytes), (nuint)bytes);
    }

    public void Synchronize()
    {
    }

    public IReadOnlyList<MemoryUse> MemoryUse()
    {
        lock (_lock)
        {
            return [.. Enum.GetValues<MemoryPurpose>().Select(p => new MemoryUse(p, _current[(int)p], _peak[(int)p]))];
        }
    }

    public void Dispose()
    {
        CpuBuffer[] owned;
        lock (_lock)
        {
            _disposed = true;
            owned = [.. _buffers];
        }

        foreach (var buffer in owned)
        {
            buffer.Dispose();
        }

        Threads.Dispose();
    }

    /// <summary>Takes a buffer off the books; called by the buffer when it is disposed.</summary>
    internal void Forget(CpuBuffer buffer)
    {
        lock (_lock)
        {
            _buffers.Remove(buffer);
            _current[(int)buffer.Purpose] -= buffer.IsEvicted ? 0 : buffer.Bytes;
        }
    }

    // A budget is for what a plan counts: neither temporaries nor weights in host memory are.
    private long FreeBytes(MemoryPurpose purpose)
    {
        var unbounded = _current[(int)MemoryPurpose.HostWeights] + _current[(int)MemoryPurpose.Scratch];
        return purpose is MemoryPurpose.HostWeights or MemoryPurpose.Scratch
            ? GC.GetGCMemoryInfo().TotalAvailableMemoryBytes - _current.Sum()
            : _budget - (_current.Sum() - unbounded);
    }

    // Memory, on the books; under the lock.
    private void* Take(long bytes, MemoryPurpose purpose)
    {
        var free = FreeBytes(purpose);
        if (bytes > free)
        {
            throw OutOfMemory(bytes, purpose, free);
        }

        var memory = AllocateNative(bytes, purpose, free);
        if (poison)
        {
            NativeMemory.Fill(memory, (nuint)bytes, 0xFF);
        }

        _current[(int)purpose] += bytes;
        _peak[(int)purpose] = Math.Max(_peak[(int)purpose], _current[(int)purpose]);
        return memory;
    }

    private void* AllocateNative(long bytes, MemoryPurpose purpose, long free)
    {
        var wanted = (nuint)Math.Max(bytes, 64);
        var alignment = wanted >= HugePageBytes ? HugePageBytes : wanted >= 4096 ? 4096 : (nuint)64;
        try
        {
            var memory = NativeMemory.AlignedAlloc(wanted, alignment);
            if (alignment == HugePageBytes)
            {
                // Advice only: a kernel without huge pages answers −1 and the memory works all the same.
                _ = Libc.madvise((nint)memory, wanted, Libc.MADV_HUGEPAGE);
            }

            return memory;
        }
        catch (OutOfMemoryException)
        {
            throw OutOfMemory(bytes, purpose, free);
        }
    }

    private DeviceMemoryException OutOfMemory(long bytes, MemoryPurpose purpose, long free) => new(
        $"{Name} has too little memory: {bytes:N0} bytes wanted for {purpose}, {Math.Max(0, free):N0} free of a " +
        $"budget of {_budget:N0}; use more devices, a smaller context or a smaller dtype.");

    private byte* Range(DeviceBuffer buffer, long offset, long bytes)
    {
        if (buffer is not CpuBuffer own || own.Device != this)
        {
            throw new ArgumentException($"The buffer does not belong to {Name}.", nameof(buffer));
        }

        ArgumentOutOfRangeException.ThrowIfNegative(offset);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(offset, buffer.Bytes - bytes);
        return (byte*)buffer.Address + offset;
    }
}
