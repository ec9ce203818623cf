using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace TensorParallel.Worker.Native;

/// <summary>NVRTC: CUDA C++ to machine code at run time. Needs no GPU.</summary>
internal static unsafe partial class Nvrtc
{
    private const string Library = NativeLibraries.Nvrtc;

    // The first that knows compute capability 9.0 with its own instructions (sm_90a).
    private const int LeastMajor = 12;

    static Nvrtc() => NativeLibraries.UseResolver();

    /// <summary>Why kernels cannot be compiled, one sentence, or null.</summary>
    internal static string? UnavailableReason => NativeLibraries.UnavailableReason(Library) ?? (Version.Major >= LeastMajor
        ? null
        : $"NVRTC {Version} ({NativeLibraries.LoadedFrom(Library)}) is too old: install the CUDA runtime compiler (12.4 or newer), or "
            + $"name its folder in {NativeLibraries.OverrideVariable}.");

    /// <summary>Version, for example 13.0.</summary>
    internal static Version Version
    {
        get
        {
            int major, minor;
            Check(nvrtcVersion(&major, &minor));
            return new Version(major, minor);
        }
    }

    /// <summary>Throws a <see cref="NativeException"/> that quotes the call unless the status is success.</summary>
    internal static void Check(int status, [CallerArgumentExpression(nameof(status))] string? call = null)
    {
        if (status != 0)
        {
            throw new NativeException(
                $"{call} failed with {Marshal.PtrToStringUTF8((nint)nvrtcGetErrorString(status))} ({status}).", status);
        }
    }

    [LibraryImport(Library)]
    internal static partial int nvrtcVersion(int* major, int* minor);

    [LibraryImport(Library)]
    internal static partial byte* nvrtcGetErrorString(int status);

    [LibraryImport(Library)]
    internal static partial int nvrtcCreateProgram(
        nint* program, byte* source, byte* name, int headerCount, byte** headers, byte** headerNames);

    [LibraryImport(Library)]
    internal static partial int nvrtcDestroyProgram(nint* program);

    [LibraryImport(Library)]
    internal static partial int nvrtcCompileProgram(nint program, int optionCount, byte** options);

    [LibraryImport(Library)]
    internal static partial int nvrtcGetProgramLogSize(nint program, nuint* bytes);

    [LibraryImport(Library)]
    internal static partial int nvrtcGetProgramLog(nint program, byte* log);

    [LibraryImport(Library)]
    internal static partial int nvrtcGetCUBINSize(nint program, nuint* bytes);

    [LibraryImport(Library)]
    internal static partial int nvrtcGetCUBIN(nint program, byte* code);
}
