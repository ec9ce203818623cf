using TensorParallel.Worker.Native;

namespace TensorParallel.Worker.Devices;

/// <summary>Memory of a <see cref="CudaDevice"/>, aligned to 256 bytes; it outlives no device.</summary>
internal sealed class CudaBuffer : DeviceBuffer
{
    private readonly CudaEvictableMemory? _evictable;
    private ulong _memory;

    /// <summary>Takes over <paramref name="memory"/>, which came from cuMemAlloc or is a place in evictable memory.</summary>
    internal CudaBuffer(CudaDevice device, ulong memory, long bytes, MemoryPurpose purpose, CudaEvictableMemory? evictable)
        : base(bytes, purpose)
    {
        Device = device;
        _memory = memory;
        _evictable = evictable;
    }

    /// <summary>The device that allocated it.</summary>
    public CudaDevice Device { get; }

    /// <summary>The device memory behind its address is given back at present.</summary>
    public bool IsEvicted => _evictable is { IsEvicted: true };

    public override nint Address
    {
        get
        {
            ObjectDisposedException.ThrowIf(_memory == 0, this);
            return (nint)_memory;
        }
    }

    public override void Dispose()
    {
        if (_memory != 0)
        {
            Device.Forget(this);
            if (_evictable is not null)
            {
                _evictable.Leave();
            }
            else
            {
                CudaDriver.Check(CudaDriver.cuMemFree(_memory));
            }

            _memory = 0;
        }
    }
}
