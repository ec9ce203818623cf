using TensorParallel.Worker.Native;

namespace TensorParallel.Worker.Devices;

/// <summary>Memory of a <see cref="CudaDevice"/>, aligned to 256 bytes; it outlives no device.</summary>
internal sealed class CudaBuffer : DeviceBuffer
{
    private ulong _memory;

    /// <summary>Takes over <paramref name="memory"/>, which came from cuMemAlloc.</summary>
    internal CudaBuffer(CudaDevice device, ulong memory, long bytes, MemoryPurpose purpose)
        : base(bytes, purpose)
    {
        Device = device;
        _memory = memory;
    }

    /// <summary>The device that allocated it.</summary>
    public CudaDevice Device { get; }

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
            CudaDriver.Check(CudaDriver.cuMemFree(_memory));
            _memory = 0;
        }
    }
}
