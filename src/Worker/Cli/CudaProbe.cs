using System.Runtime.InteropServices;
using System.Text;
using TensorParallel.Protocol.Wire;

namespace TensorParallel.Worker.Cli;

/// <summary>
/// Asks the CUDA driver for its devices, without a context (one would cost hundreds of megabytes on every GPU) and
/// without a toolkit. The driver is looked up at run time: a machine without one is an ordinary machine.
/// </summary>
internal static unsafe class CudaProbe
{
    private const string Library = "libcuda.so.1";
    private const int ComputeCapabilityMajor = 75; // CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR
    private const int ComputeCapabilityMinor = 76;
    private const int NameBytes = 256;

    /// <summary>All GPUs; where there are none, <paramref name="unavailable"/> says why in one sentence.</summary>
    public static IReadOnlyList<GpuInventory> Gpus(out string? unavailable)
    {
        if (!NativeLibrary.TryLoad(Library, out var driver))
        {
            unavailable = $"The CUDA driver library {Library} is not installed on this machine.";
            return [];
        }

        try
        {
            var gpus = Gpus(driver);
            unavailable = gpus.Count == 0 ? "The CUDA driver shows no device; is CUDA_VISIBLE_DEVICES empty?" : null;
            return gpus;
        }
        catch (Exception exception) when (exception is EntryPointNotFoundException or InvalidOperationException)
        {
            unavailable = exception.Message;
            return [];
        }
    }

    private static List<GpuInventory> Gpus(nint driver)
    {
        var initialise = (delegate* unmanaged<uint, int>)NativeLibrary.GetExport(driver, "cuInit");
        var getCount = (delegate* unmanaged<int*, int>)NativeLibrary.GetExport(driver, "cuDeviceGetCount");
        var get = (delegate* unmanaged<int*, int, int>)NativeLibrary.GetExport(driver, "cuDeviceGet");
        var getName = (delegate* unmanaged<byte*, int, int, int>)NativeLibrary.GetExport(driver, "cuDeviceGetName");
        var getMemory = (delegate* unmanaged<nuint*, int, int>)NativeLibrary.GetExport(driver, "cuDeviceTotalMem_v2");
        var getAttribute =
            (delegate* unmanaged<int*, int, int, int>)NativeLibrary.GetExport(driver, "cuDeviceGetAttribute");

        Check(initialise(0), "cuInit");
        int count;
        Check(getCount(&count), "cuDeviceGetCount");
        var gpus = new List<GpuInventory>(count);
        var name = stackalloc byte[NameBytes];
        for (var i = 0; i < count; i++)
        {
            int device, major, minor;
            nuint memory;
            Check(get(&device, i), "cuDeviceGet");
            Check(getName(name, NameBytes, device), "cuDeviceGetName");
            Check(getMemory(&memory, device), "cuDeviceTotalMem_v2");
            Check(getAttribute(&major, ComputeCapabilityMajor, device), "cuDeviceGetAttribute");
            Check(getAttribute(&minor, ComputeCapabilityMinor, device), "cuDeviceGetAttribute");
            var text = Encoding.UTF8.GetString(MemoryMarshal.CreateReadOnlySpanFromNullTerminated(name));
            gpus.Add(new GpuInventory(i, text, (long)memory, $"{major}.{minor}"));
        }

        return gpus;
    }

    private static void Check(int result, string call)
    {
        if (result != 0)
        {
            throw new InvalidOperationException(
                $"The CUDA driver answered {call} with error {result}; cuda.h names it (CUresult).");
        }
    }
}
