using System.Diagnostics;
using static TensorParallel.Worker.Native.CudaDriver;

namespace TensorParallel.Worker.Devices;

/// <summary>
/// Kernels of one device: compiled at first use, kept on disk by everything the machine code depends on, loaded once. A process
/// beside this one may fill the same folder: files appear whole or not at all. One thread at a time.
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

    /// <summary>Modules loaded, compiled ones included.</summary>
    public int Loaded { get; private set; }

    /// <summary>Time that finding, compiling and loading modules took.</summary>
    public TimeSpan LoadTime { get; private set; }

    /// <summary>Kernels compiled because the disk did not have them.</summary>
    public int Compiled { get; private set; }

    /// <summary>Why compiled kernels could not be kept, or null.</summary>
    public string? DiskProblem { get; private set; }

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

        var path = Path.Combine(Folder, $"{Path.GetFileNameWithoutExtension(kernel.File)}-{fingerprint[..32]}.cubin");
        var module = TryLoadFile(path) ?? LoadCompiled(kernel, architecture, path);
        Loaded++;
        LoadTime += Stopwatch.GetElapsedTime(started);
        return _modules[fingerprint] = module;
    }

    private static nint? TryLoadFile(string path)
    {
        byte[] code;
        try
        {
            code = File.ReadAllBytes(path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null; // not there, or not for us: it is compiled anew
        }

        nint module;
        fixed (byte* image = code)
        {
            return code.Length > 0 && cuModuleLoadData(&module, image) == CUDA_SUCCESS ? module : null;
        }
    }

    private nint LoadCompiled(CudaKernel kernel, string architecture, string path)
    {
        var code = CudaCompiler.Compile(kernel, architecture);
        Compiled++;
        Save(path, code);
        nint module;
        fixed (byte* image = code)
        {
            Check(cuModuleLoadData(&module, image), $"cuModuleLoadData of {kernel} compiled for {architecture}");
        }

        return module;
    }

    private void Save(string path, byte[] code)
    {
        var temporary = $"{path}.{Environment.ProcessId}.{Guid.NewGuid():N}";
        try
        {
            Directory.CreateDirectory(Folder);
            File.WriteAllBytes(temporary, code);
            File.Move(temporary, path, overwrite: true);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            DiskProblem = $"Compiled kernels cannot be kept in {Folder}: {e.Message}";
        }
    }
}
