using static TensorParallel.Worker.Native.CudaDriver;

namespace TensorParallel.Worker.Devices;

/// <summary>
/// Copies from pinned memory on a stream of their own. Order with the device's stream is by events alone, so that the host runs ahead of
/// both.
/// </summary>
internal sealed unsafe class CudaCopyQueue : ICopyQueue
{
    private readonly CudaDevice _device;
    private readonly bool _poison;
    private nint _stream;
    private nint _released;

    /// <summary>Makes the stream.</summary>
    /// <param name="device">The device.</param>
    /// <param name="poison">Fill what is released.</param>
    public CudaCopyQueue(CudaDevice device, bool poison)
    {
        _device = device;
        _poison = poison;
        device.MakeCurrent();
        nint stream, released;
        Check(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
        _stream = stream;
        try
        {
            Check(cuEventCreate(&released, CU_EVENT_DISABLE_TIMING));
            _released = released;
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    // The event stands behind the last reader, also one that began early: it is reached when that has ended. One event serves all, for a
    // wait means the point at which it was recorded last when the wait was issued.
    public void Release(DeviceBuffer target)
    {
        var address = _device.Range(target, 0, target.Bytes);
        _device.MakeCurrent();
        Check(cuEventRecord(_released, _device.Stream));
        Check(cuStreamWaitEvent(_stream, _released, 0));
        if (_poison)
        {
            Check(cuMemsetD8Async(address, 0xFF, (nuint)target.Bytes, _stream));
        }
    }

    public void Copy(DeviceBuffer source, DeviceBuffer target, long bytes)
    {
        var (from, to) = (_device.Range(source, 0, bytes), _device.Range(target, 0, bytes));
        if (!source.IsHostMemory || target.IsHostMemory)
        {
            throw new ArgumentException("Copies go from host memory to the device.", nameof(source));
        }

        _device.MakeCurrent();
        Check(cuMemcpyHtoDAsync(to, (void*)from, (nuint)bytes, _stream));
    }

    public ICopyPoint CreatePoint() => new Point(this);

    public void Dispose()
    {
        if (_stream != 0)
        {
            var (stream, released) = (_stream, _released);
            (_stream, _released) = (0, 0);
            _device.MakeCurrent();
            Disposal.Run(
                () => Check(cuStreamSynchronize(stream)), // what is copied from and to may go next
                () => Check(cuStreamDestroy(stream)),
                () => Check(released == 0 ? CUDA_SUCCESS : cuEventDestroy(released)));
        }
    }

    private sealed class Point : ICopyPoint
    {
        private readonly CudaCopyQueue _queue;
        private nint _event;

        internal Point(CudaCopyQueue queue)
        {
            _queue = queue;
            queue._device.MakeCurrent();
            nint handle;
            Check(cuEventCreate(&handle, CU_EVENT_DISABLE_TIMING | CU_EVENT_BLOCKING_SYNC));
            _event = handle;
        }

        public void Set()
        {
            _queue._device.MakeCurrent();
            Check(cuEventRecord(_event, _queue._stream));
        }

        public void HoldDevice() => _queue._device.AwaitEvent(_event);

        public void Wait()
        {
            _queue._device.MakeCurrent();
            Check(cuEventSynchronize(_event), "Waiting for weights to come");
        }

        public void Dispose()
        {
            if (_event != 0)
            {
                _queue._device.MakeCurrent();
                Check(cuEventDestroy(_event));
                _event = 0;
            }
        }
    }
}
