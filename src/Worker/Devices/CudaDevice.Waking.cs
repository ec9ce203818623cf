using TensorParallel.Worker.Native;
using static TensorParallel.Worker.Native.CudaDriver;

namespace TensorParallel.Worker.Devices;

/// <content>Work that a start can do before it knows what the device is for.</content>
internal sealed unsafe partial class CudaDevice
{
    /// <summary>Loads and starts the driver. Thread-safe; the first call does it for the process.</summary>
    public static void WakeDriver()
    {
        if (UnavailableReason is { } reason)
        {
            throw new NativeException(reason);
        }
    }

    /// <summary>
    /// Makes a GPU's primary context, which takes a good part of a second, and keeps it until the process ends: a device opened
    /// meanwhile waits for it and has it then. Thread-safe.
    /// </summary>
    public static void WakeContext(int ordinal)
    {
        WakeDriver();
        int handle;
        nint context;
        Check(cuDeviceGet(&handle, ordinal));
        Check(cuDevicePrimaryCtxRetain(&context, handle));
    }
}
