using System.Runtime.InteropServices;

namespace TensorParallel.Worker.Native;

/// <summary>NVML, which comes with the driver: what a GPU is doing, asked without a context on it.</summary>
internal static unsafe partial class Nvml
{
    internal const int NVML_SUCCESS = 0;

    private const string Library = NativeLibraries.Nvml;

    static Nvml() => NativeLibraries.UseResolver();

    /// <summary>Why it cannot be asked, one sentence, or null.</summary>
    internal static string? UnavailableReason => NativeLibraries.UnavailableReason(Library);

    [LibraryImport(Library)]
    internal static partial int nvmlInit_v2();

    [LibraryImport(Library)]
    internal static partial int nvmlDeviceGetHandleByPciBusId_v2(byte* id, nint* device);

    [LibraryImport(Library)]
    internal static partial int nvmlDeviceGetMemoryInfo(nint device, nvmlMemory_t* memory);

    [LibraryImport(Library)]
    internal static partial int nvmlShutdown();

    /// <summary>Bytes of device memory.</summary>
    [StructLayout(LayoutKind.Sequential)]
    internal struct nvmlMemory_t
    {
        internal ulong total;
        internal ulong free;
        internal ulong used;
    }
}
