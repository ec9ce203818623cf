using TensorParallel.Worker.Devices;

namespace TensorParallel.Worker.Ops.Cpu;

/// <summary>
/// A workspace that grows to the largest demand and is then reused; what it held is lost when it grows.
/// </summary>
internal sealed class Scratch(IDevice device) : IDisposable
{
    private DeviceBuffer? _buffer;

    /// <summary>Address of at least <paramref name="bytes"/> bytes, valid until the next call.</summary>
    public nint Demand(long bytes)
    {
        if (_buffer is null || _buffer.Bytes < bytes)
        {
            Dispose();
            _buffer = device.Allocate(bytes, MemoryPurpose.Scratch);
        }

        return _buffer.Address;
    }

    public void Dispose()
    {
        _buffer?.Dispose();
        _buffer = null;
    }
}
