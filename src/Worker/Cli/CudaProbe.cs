using System.Runtime.InteropServices;
using System.Text;
using TensorParallel.Protocol.Wire;
using TensorParallel.Worker.Native;
using static TensorParallel.Worker.Native.CudaDriver;

namespace TensorParallel.Worker.Cli;

/// <summary>
/// Asks the CUDA driver for its devices, without a context (one would cost hundreds of megabytes on every GPU) and
/// without a toolkit: a machine without a driver is an ordinary machine. Their free memory is told by NVML, where that is.
/// </summary>
internal static unsafe class CudaProbe
{
    private const int TextBytes = 256;

    /// <summary>All GPUs; where there are none, <paramref name="unavailable"/> says why in one sentence.</summary>
    public static IReadOnlyList<GpuInventory> Gpus(out string? unavailable)
    {
        unavailable = UnavailableReason;
        if (unavailable is not null)
        {
            return [];
        }

        try
        {
            return Gpus();
        }
        catch (Exception exception) when (exception is EntryPointNotFoundException or NativeException)
        {
            unavailable = $"The NVIDIA driver does not answer: {exception.Message}";
            return [];
        }
    }

    private static List<GpuInventory> Gpus()
    {
        int count;
        Check(cuDeviceGetCount(&count));
        var gpus = new List<GpuInventory>(count);
        var hasMemoryInfo = Nvml.UnavailableReason is null && Nvml.nvmlInit_v2() == Nvml.NVML_SUCCESS;
        var text = stackalloc byte[TextBytes];
        for (var i = 0; i < count; i++)
        {
            int device, major, minor;
            nuint memory;
            Check(cuDeviceGet(&device, i));
            Check(cuDeviceGetName(text, TextBytes, device));
            var name = Encoding.UTF8.GetString(MemoryMarshal.CreateReadOnlySpanFromNullTerminated(text));
            Check(cuDeviceTotalMem(&memory, device));
            Check(cuDeviceGetAttribute(&major, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, device));
            Check(cuDeviceGetAttribute(&minor, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR, device));
            Check(cuDeviceGetPCIBusId(text, TextBytes, device));
            gpus.Add(new GpuInventory(i, name, (long)memory, $"{major}.{minor}")
            {
                MemoryFreeBytes = hasMemoryInfo ? FreeBytes(text) : null,
            });
        }

        if (hasMemoryInfo)
        {
            _ = Nvml.nvmlShutdown(); // nothing is asked after it
        }

        return gpus;
    }

    // By bus id: NVML counts all GPUs of the machine, in an order of its own. Null: not told, as of a part of a GPU.
    private static long? FreeBytes(byte* busId)
    {
        nint device;
        Nvml.nvmlMemory_t memory;
        return Nvml.nvmlDeviceGetHandleByPciBusId_v2(busId, &device) == Nvml.NVML_SUCCESS
            && Nvml.nvmlDeviceGetMemoryInfo(device, &memory) == Nvml.NVML_SUCCESS
            ? (long)memory.free
            : null;
    }
}
