using System.Diagnostics;
using TensorParallel.Worker.Native;
using static TensorParallel.Worker.Native.CudaDriver;

namespace TensorParallel.Worker.Devices;

/// <summary>
/// Kernels of one device: compiled at first use, kept on disk by everything the machine code depends on, loaded once. One thread at a
/// time.
/// </summary>
internal sealed unsafe class CudaModuleCache(CudaDevice device) : IDisposable
{
    /// <summary>
    /// Percent of a multiprocessor's fast memory that every kernel asks to have as shared memory, −1: the driver's choice by kernel; unset:
    /// see <see cref="Carveout"/>.
    /// </summary>
    internal const string SharedCarveoutVariable = "TP_CUDA_SHARED_CARVEOUT";

    // Of an H200's 228 KB 164 KB. One decode step of the 8B shape, batch 1, in us by this percentage (driver's choice, 28, 50, 72, 100):
    // whole 4,210 4,043 4,041 3,987 4,035; a rank of two 2,439 2,435 2,453 2,391 2,398; a rank of four 1,459 1,367 1,368 1,382 1,417.
    // Whole steps with all sums between four H200s: 684.7 tokens/s with 72, 691.9 with 50 (twice) and with 28.
    private const int SmallStepsCarveout = 72;
    private const int CutStepsCarveout = 50;
    private const int ManyParts = 4;

    private const int WholeCarveout = 100;

    private static readonly int? s_carveout =
        Environment.GetEnvironmentVariable(SharedCarveoutVariable) is { Length: > 0 } text
            ? int.Parse(text, System.Globalization.CultureInfo.InvariantCulture)
            : null;

    private readonly HashSet<nint> _sharing = [];
    private readonly Dictionary<CudaKernel, CudaFunction> _functions = [];

    // By machine code and use: a module has one function of each name, and with it one set of its attributes.
    private readonly Dictionary<(string Fingerprint, string Use), nint> _modules = [];

    /// <summary>The machine code behind the modules; it alone may be used by several threads.</summary>
    public CudaCodeCache Code { get; } = new(Folder);

    /// <summary>Modules loaded, compiled ones included.</summary>
    public int Loaded { get; private set; }

    /// <summary>Time that finding, compiling and loading modules took.</summary>
    public TimeSpan LoadTime { get; private set; }

    /// <summary>Kernels compiled because the disk did not have them.</summary>
    public int Compiled => Code.Compiled;

    /// <summary>
    /// Percent of a multiprocessor's fast memory that kernels of small steps ask to have as shared memory; −1: the driver chooses by
    /// kernel. A multiprocessor must be empty to change its division, so kernels of unlike divisions cannot overlap. Kernels that
    /// fill shared memory for many rows (see <see cref="Get"/>) keep the driver's choice.
    /// </summary>
    public int Carveout { get; private set; } = s_carveout ?? SmallStepsCarveout;

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

    /// <summary>
    /// Sets the <see cref="Carveout"/> that suits layers cut into so many parts, unless the environment names one: the smaller the
    /// products, the more of what they read again is to be found in fast memory.
    /// </summary>
    public void SuitParts(int parts)
    {
        if (s_carveout is null)
        {
            SetCarveout(parts >= ManyParts ? CutStepsCarveout : SmallStepsCarveout);
        }
    }

    /// <summary>Sets the <see cref="Carveout"/>: for benchmarks.</summary>
    public void SetCarveout(int percent)
    {
        device.MakeCurrent();
        Carveout = percent;
        foreach (var function in _sharing)
        {
            Prefer(function, percent);
        }
    }

    /// <summary>The kernel, ready to launch with up to <paramref name="sharedBytes"/> of dynamic shared memory.</summary>
    /// <param name="kernel">The variant.</param>
    /// <param name="sharedBytes">The same at each call for this kernel.</param>
    /// <param name="ofSmallSteps">Whether <see cref="Carveout"/> is for it although it has dynamic shared memory.</param>
    /// <param name="fillsShared">Whether it wants all fast memory as shared memory, to have several blocks a multiprocessor.</param>
    public CudaFunction Get(CudaKernel kernel, int sharedBytes = 0, bool ofSmallSteps = false, bool fillsShared = false)
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

        if (sharedBytes == 0 || ofSmallSteps || s_carveout is not null)
        {
            _sharing.Add(function);
            Prefer(function, Carveout);
        }
        else if (fillsShared)
        {
            Prefer(function, WholeCarveout);
        }

        return _functions[kernel] = new CudaFunction(function, kernel.ToString());
    }

    /// <summary>
    /// Loads kernels ahead of their first use: that waits until the device has done everything before, which in the middle of a pipeline
    /// holds up every stage behind. What does not compile is left to <see cref="Get"/>, which tells of it.
    /// </summary>
    public void Load(IEnumerable<CudaKernel> kernels)
    {
        device.MakeCurrent();
        foreach (var kernel in kernels)
        {
            try
            {
                nint function;
                int registers; // the driver reads code when it is first asked about
                Check(cuModuleGetFunction(&function, Module(kernel), kernel.Entry));
                Check(cuFuncGetAttribute(&registers, CU_FUNC_ATTRIBUTE_NUM_REGS, function));
            }
            catch (NativeException)
            {
                // Only a kernel that is asked for has to load.
            }
        }
    }

    /// <summary>Unloads everything; the context must still be there.</summary>
    public void Dispose()
    {
        nint[] modules = [.. _modules.Values];
        _modules.Clear();
        _functions.Clear();
        Disposal.Run(modules.Select(module => (Action)(() => Check(cuModuleUnload(module)))));
    }

    private static void Prefer(nint function, int percent) => Check(
        cuFuncSetAttribute(function, CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT, percent),
        $"{percent} percent of shared memory for a kernel");

    private nint Module(CudaKernel kernel)
    {
        var started = Stopwatch.GetTimestamp();
        var architecture = CudaCompiler.Architecture(device.Capability);
        var fingerprint = CudaCompiler.Fingerprint(kernel, architecture);
        if (_modules.TryGetValue((fingerprint, kernel.Use), out var known))
        {
            return known; // another entry point of the same file, defines and use
        }

        if (TryLoad(Code.Get(kernel, architecture), out var module) != CUDA_SUCCESS)
        {
            // A file that was spoilt on the disk, or is of a driver that is gone: compiled anew it has to load.
            var status = TryLoad(Code.Get(kernel, architecture, anew: true), out module);
            Check(status, $"cuModuleLoadData of {kernel} compiled for {architecture}{TooNew()}");
        }

        Loaded++;
        LoadTime += Stopwatch.GetElapsedTime(started);
        return _modules[(fingerprint, kernel.Use)] = module;
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
