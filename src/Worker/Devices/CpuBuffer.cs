using System.Runtime.InteropServices;

namespace TensorParallel.Worker.Devices;

/// <summary>Native memory of a <see cref="CpuDevice"/>; it outlives no device.</summary>
internal sealed unsafe class CpuBuffer : DeviceBuffer
{
    private readonly CpuDevice _device;
    private void* _memory;

    /// <summary>
    /// Takes over <paramref name="memory"/>, which came from <see cref="NativeMemory.AlignedAlloc"/>.
    /// </summary>
    internal CpuBuffer(CpuDevice device, void* memory, long bytes, MemoryPurpose purpose)
        : base(bytes, purpose)
    {
        _device = device;
        _memory = memory;
    }

    /// <summary>The device that allocated it.</summary>
    public CpuDevice Device => _device;

    public override nint Address
    {
        get
        {
            ObjectDisposedException.ThrowIf(_memory is null, this);
            return (nint)_memory;
        }
    }

    public override void Dispose()
    {
        if (_memory is not null)
        {
            _device.Forget(this);
            NativeMemory.AlignedFree(_memory);
            _memory = null;
        }
    }
}
