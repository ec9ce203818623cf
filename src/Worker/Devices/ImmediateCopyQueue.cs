namespace TensorParallel.Worker.Devices;

/// <summary>The queue of any device: copies in its own order of work, so that nothing has to be waited for.</summary>
internal sealed class ImmediateCopyQueue(IDevice device) : ICopyQueue
{
    public void Release(DeviceBuffer target)
    {
    }

    public void Copy(DeviceBuffer source, DeviceBuffer target, long bytes) => device.Copy(source, 0, target, 0, bytes);

    public ICopyPoint CreatePoint() => new Point(device);

    public void Dispose()
    {
    }

    private sealed class Point(IDevice device) : ICopyPoint
    {
        public void Set()
        {
        }

        public void HoldDevice()
        {
        }

        public void Wait() => device.Synchronize();

        public void Dispose()
        {
        }
    }
}
