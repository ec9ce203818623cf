using System.Runtime.InteropServices;
using TensorParallel.TestKit.FakeGpu;
using TensorParallel.Worker.Devices;
using TensorParallel.Worker.Native;
using Xunit;

namespace TensorParallel.Worker.Tests.Cuda;

/// <summary>
/// The CUDA device on the fake driver, in this process: copies run late and into host memory. Skips where the driver cannot be built.
/// </summary>
internal static unsafe class FakeDriver
{
    /// <summary>Collection of the tests that use it: all devices share the memory that the driver counts.</summary>
    public const string OneAtATime = "fake driver";

    private static readonly Lazy<string?> s_reason = new(Load);
    private static nint s_library;

    /// <summary>GPU 0, with poisoned memory.</summary>
    public static CudaDevice Open(bool evictable = false)
    {
        Assert.SkipWhen(s_reason.Value is not null, s_reason.Value ?? string.Empty);
        return new CudaDevice(0, poison: true, evictable);
    }

    /// <summary>Streams that were made and not destroyed, of all devices.</summary>
    public static int LivingStreams => ((delegate* unmanaged<int>)NativeLibrary.GetExport(s_library, "fake_living_streams"))();

    /// <summary>The next event of any device cannot be made.</summary>
    public static void FailNextEvent() => ((delegate* unmanaged<void>)NativeLibrary.GetExport(s_library, "fake_fail_next_event"))();

    // The library is looked for once a process; the variable is this test's for that moment only.
    private static string? Load()
    {
        if (FakeGpuLibraries.UnavailableReason is { } reason)
        {
            return reason;
        }

        using var libraries = new FakeGpuLibraries(FakeGpuLibraries.Driver);
        var before = Environment.GetEnvironmentVariable(NativeLibraries.OverrideVariable);
        Environment.SetEnvironmentVariable(NativeLibraries.OverrideVariable, libraries.Folder);
        try
        {
            var from = NativeLibraries.LoadedFrom(NativeLibraries.Cuda);
            if (from?.StartsWith(libraries.Folder, StringComparison.Ordinal) != true)
            {
                return $"Another driver is in use already: {from ?? "none"}.";
            }

            s_library = NativeLibrary.Load(from);
            return CudaDriver.UnavailableReason;
        }
        finally
        {
            Environment.SetEnvironmentVariable(NativeLibraries.OverrideVariable, before);
        }
    }
}
