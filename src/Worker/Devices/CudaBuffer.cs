using TensorParallel.Worker.Native;

namespace TensorParallel.Worker.Devices;

/// <summary>
/// Memory of a <see cref="CudaDevice"/>, aligned to 256 bytes, or pinned host memory at one address for host and kernels, or a part of
/// either; it outlives no device.
/// </summary>
internal sealed unsafe class CudaBuffer : DeviceBuffer
{
    private readonly CudaEvictableMemory? _evictable;
    private readonly CudaBuffer? _whole;
    private readonly ulong _offset;
    private ulong _memory;

    /// <summary>
    /// Takes over <paramref name="memory"/>, which came from cuMemAlloc, is a place in evictable memory, or came from cuMemHostAlloc if it
    /// is the host's.
    /// </summary>
    internal CudaBuffer(
        CudaDevice device, ulong memory, long bytes, MemoryPurpose purpose, CudaEvictableMemory? evictable = null, bool isHostMemory = false)
        : base(bytes, purpose)
    {
        Device = device;
        IsHostMemory = isHostMemory;
        _memory = memory;
        _evictable = evictable;
    }

    private CudaBuffer(CudaBuffer whole, ulong offset, long bytes)
        : base(bytes, whole.Purpose)
    {
        Device = whole.Device;
        IsHostMemory = whole.IsHostMemory;
        _whole = whole;
        _offset = offset;
    }

    /// <summary>The device that allocated it.</summary>
    public CudaDevice Device { get; }

    public override bool IsHostMemory { get; }

    /// <summary>The device memory behind its address is given back at present.</summary>
    public bool IsEvicted => (_whole ?? this)._evictable is { IsEvicted: true };

    public override nint Address
    {
        get
        {
            if (_whole is not null)
            {
                return _whole.Address + (nint)_offset;
            }

            ObjectDisposedException.ThrowIf(_memory == 0, this);
            return (nint)_memory;
        }
    }

    public override DeviceBuffer Slice(long offset, long bytes)
    {
        CheckRange(offset, bytes);
        return new CudaBuffer(_whole ?? this, _offset + (ulong)offset, bytes);
    }

    public override void Dispose()
    {
        if (_memory != 0)
        {
            Device.Forget(this);
            var memory = _memory;
            _memory = 0;
            if (_evictable is not null)
            {
                _evictable.Leave();
            }
            else
            {
                CudaDriver.Check(IsHostMemory ? CudaPinnedMemory.Free((void*)memory) : CudaDriver.cuMemFree(memory));
            }
        }
    }
}
