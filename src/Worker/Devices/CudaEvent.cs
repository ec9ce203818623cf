using static TensorParallel.Worker.Native.CudaDriver;

namespace TensorParallel.Worker.Devices;

/// <summary>A point in a device's stream whose time is kept.</summary>
internal sealed unsafe class CudaEvent : IDisposable
{
    private readonly CudaDevice _device;
    private nint _handle;

    public CudaEvent(CudaDevice device)
    {
        _device = device;
        device.MakeCurrent();
        nint handle;
        Check(cuEventCreate(&handle, CU_EVENT_DEFAULT));
        _handle = handle;
    }

    /// <summary>Sets the point after everything issued so far; in a capture, whenever the graph comes there.</summary>
    public void Record()
    {
        _device.MakeCurrent();
        Check(_device.IsCapturing
            ? cuEventRecordWithFlags(_handle, _device.Stream, CU_EVENT_RECORD_EXTERNAL)
            : cuEventRecord(_handle, _device.Stream));
    }

    /// <summary>Waits for this point, then gives the microseconds since <paramref name="start"/>.</summary>
    public double MicrosecondsSince(CudaEvent start)
    {
        _device.MakeCurrent();
        Check(cuEventSynchronize(_handle));
        float milliseconds;
        Check(cuEventElapsedTime(&milliseconds, start._handle, _handle));
        return milliseconds * 1000.0;
    }

    public void Dispose()
    {
        if (_handle != 0)
        {
            _device.MakeCurrent();
            Check(cuEventDestroy(_handle));
            _handle = 0;
        }
    }
}
