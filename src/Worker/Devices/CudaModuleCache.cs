using System.Diagnostics;
using static TensorParallel.Worker.Native.CudaDriver;

namespace TensorParallel.Worker.Devices;

/// <summary>
/// Kernels of one device: compiled at first use, kept on disk by everything the machine code depends on, loaded once. One thread at a
/// time.
/// </summary>
internal sealed unsafe class CudaModuleCache(CudaDevice device) : IDisposable
{
    /// <summary>
    /// Percent of a multiprocessor's fast memory that every kernel asks to have as shared memory; unset: the driver chooses by kernel.
    /// A multiprocessor must be empty to change its division, which kernels of unlike divisions pay with their overlap.
    /// </summary>
    internal const string SharedCarveoutVariable = "TP_CUDA_SHARED_CARVEOUT";

    private static readonly int? s_carveout =
        Environment.GetEnvironmentVariable(SharedCarveoutVariable) is { Length: > 0 } text
            ? int.Parse(text, System.Globalization.CultureInfo.InvariantCulture)
            : null;

    private readonly Dictionary<CudaKernel, CudaFunction> _functions = [];
    private readonly Dictionary<string, nint> _modules = [];

    /// <summary>The machine code behind the modules; it alone may be used by several threads.</summary>
    public CudaCodeCache Code { get; } = new(Folder);
    /// <summary>Modules loaded, compiled ones included.</summary>
    public int Loaded { get; private set; }

    /// <summary>Time that finding, compiling and loading modules took.</summary>
    public TimeSpan LoadTime { get; private set; }

    /// <summary>Kernels compiled because the disk did not have them.</summary>
    public int Compiled => Code.Compiled;

    /// <summary>Why compiled kernels could not be kept, or null.</summary>
    public string? DiskProblem => Code.DiskProblem;

    /// <summary>XDG_CACHE_HOME (else <c>~/.cache</c>)<c>/tensor-parallel/kernels</c>.</summary>
    public static string Folder
    {
        get
        {
            var root = Environment.GetEnvironmentVariable("XDG_CACHE_HOME") is { Length: > 0 } cache
                ? cache
                : Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.UserProfile), ".cache");
            return Path.Combine(root, "tensor-parallel", "kernels");
        }
    }

    /// <summary>The kernel, ready to launch with up to <paramref name="sharedBytes"/> of dynamic shared memory.</summary>
    public CudaFunction Get(CudaKernel kernel, int sharedBytes = 0)
    {
        if (_functions.TryGetValue(kernel, out var known))
        {
            return known;
        }

        device.MakeCurrent();
        nint function;
        Check(cuModuleGetFunction(&function, Module(kernel), kernel.Entry), $"cuModuleGetFunction for {kernel}");
        if (sharedBytes > 0)
        {
            Check(
                cuFuncSetAttribute(function, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, sharedBytes),
                $"{sharedBytes:N0} bytes of shared memory for {kernel}");
        }

        if (s_carveout is { } percent)
        {
            Check(
                cuFuncSetAttribute(function, CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT, percent),
                $"{SharedCarveoutVariable}={percent} for {kernel}");
        }

        return _functions[kernel] = new CudaFunction(function, kernel.ToString());
    }

    /// <summary>Unloads everything; the context must still be there.</summary>
    public void Dispose()
    {
        foreach (var module in _modules.Values)
        {
            Check(cuModuleUnload(module));
        }

        _modules.Clear();
        _functions.Clear();
    }

    private nint Module(CudaKernel kernel)
    {
        var started = Stopwatch.GetTimestamp();
        var architecture = CudaCompiler.Architecture(device.Capability);
        var fingerprint = CudaCompiler.Fingerprint(kernel, architecture);
        if (_modules.TryGetValue(fingerprint, out var known))
        {
            return known; // another entry point of the same file and defines
        }

        if (TryLoad(Code.Get(kernel, architecture), out var module) != CUDA_SUCCESS)
        {
            // A file that was spoilt on the disk, or is of a driver that is gone: compiled anew it has to load.
            var status = TryLoad(Code.Get(kernel, architecture, anew: true), out module);
            Check(status, $"cuModuleLoadData of {kernel} compiled for {architecture}{TooNew()}");
        }

        Loaded++;
        LoadTime += Stopwatch.GetElapsedTime(started);
        return _modules[fingerprint] = module;
    }

    private static int TryLoad(byte[] code, out nint module)
    {
        nint loaded;
        fixed (byte* image = code)
        {
            var status = cuModuleLoadData(&loaded, image);
            module = loaded;
            return status;
        }
    }

    // A driver takes machine code of its own major version's compilers and of older ones.
    private static string TooNew()
    {
        int driver;
        Check(cuDriverGetVersion(&driver));
        var compiler = Native.Nvrtc.Version;
        return compiler.Major > driver / 1000
            ? $" by NVRTC {compiler}, which is newer than the driver (CUDA {driver / 1000}.{driver % 1000 / 10}): install a newer " +
                $"driver, or name the folder of an older NVRTC in {Native.NativeLibraries.OverrideVariable};"
            : string.Empty;
    }
}
