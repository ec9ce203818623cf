using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace TensorParallel.Worker.Native;

/// <summary>The CUDA driver API: what is called here and nothing else, under the names of its own documentation.</summary>
internal static unsafe partial class CudaDriver
{
    private const string Library = NativeLibraries.Cuda;
    private const string NoGpu = "The NVIDIA driver sees no GPU; see what nvidia-smi and CUDA_VISIBLE_DEVICES say.";

    static CudaDriver() => NativeLibraries.UseResolver();

    /// <summary>Why no GPU can be used, one sentence, or null. Loads the driver and counts devices at the first call.</summary>
    internal static string? UnavailableReason { get; } = Probe();

    /// <summary>Whether the driver is there, works and sees a GPU.</summary>
    internal static bool IsAvailable => UnavailableReason is null;

    /// <summary>Throws a <see cref="NativeException"/> that quotes the call unless the status is success.</summary>
    internal static void Check(int status, [CallerArgumentExpression(nameof(status))] string? call = null)
    {
        if (status != CUDA_SUCCESS)
        {
            Throw(status, call);
        }
    }

    /// <summary>The same with words of one's own for the call.</summary>
    internal static void Check(int status, [InterpolatedStringHandlerArgument(nameof(status))] ref CallText call)
    {
        if (status != CUDA_SUCCESS)
        {
            Throw(status, call.Take());
        }
    }

    /// <summary>Name and description of a status, for messages: <c>CUDA_ERROR_OUT_OF_MEMORY (2): out of memory</c>.</summary>
    internal static string Describe(int status)
    {
        byte* name = null;
        byte* text = null;
        _ = cuGetErrorName(status, &name);
        _ = cuGetErrorString(status, &text);
        return $"{Marshal.PtrToStringUTF8((nint)name) ?? "unknown error"} ({status}): {Marshal.PtrToStringUTF8((nint)text)}";
    }

    private static string? Probe()
    {
        NativeLibraries.UseResolver(); // initializers run before the static constructor
        if (NativeLibraries.UnavailableReason(Library) is { } missing)
        {
            return missing;
        }

        var status = cuInit(0);
        if (status == CUDA_ERROR_NO_DEVICE)
        {
            return NoGpu;
        }

        if (status != CUDA_SUCCESS)
        {
            return $"The NVIDIA driver does not start: cuInit(0) failed with {Describe(status)}; see what nvidia-smi says.";
        }

        int version, count;
        Check(cuDriverGetVersion(&version));
        Check(cuDeviceGetCount(&count));
        return count == 0
            ? NoGpu
            : version < 12000
                ? $"The NVIDIA driver supports CUDA {version / 1000}.{version % 1000 / 10}, but 12.0 is needed; install a newer driver."
                : null;
    }

    private static void Throw(int status, string? call) =>
        throw new NativeException($"{call} failed with {Describe(status)}.", status);
}
