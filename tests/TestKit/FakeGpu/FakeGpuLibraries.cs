using System.Diagnostics;

namespace TensorParallel.TestKit.FakeGpu;

/// <summary>
/// A folder with stand-ins for the GPU libraries, built by the machine's C compiler; programs find it through
/// <c>TP_NATIVE_PATH</c>. What they pretend is said in <c>fake_gpu.c</c>.
/// </summary>
public sealed class FakeGpuLibraries : IDisposable
{
    /// <summary>The NVIDIA driver.</summary>
    public const string Driver = "DRIVER";

    /// <summary>NVML.</summary>
    public const string Nvml = "NVML";

    /// <summary>NVRTC.</summary>
    public const string Nvrtc = "NVRTC";

    /// <summary>NCCL.</summary>
    public const string Nccl = "NCCL";

    private static readonly Dictionary<string, string> s_files = new()
    {
        [Driver] = "libcuda.so.1",
        [Nvml] = "libnvidia-ml.so.1",
        [Nvrtc] = "libnvrtc.so.12",
        [Nccl] = "libnccl.so.2",
    };

    private readonly TemporaryFolder _folder = new();

    /// <summary>Builds the libraries given.</summary>
    public FakeGpuLibraries(params IEnumerable<string> libraries)
    {
        foreach (var library in libraries)
        {
            Compile(library);
        }
    }

    /// <summary>Why they cannot be built, or null.</summary>
    public static string? UnavailableReason { get; } =
        (Environment.GetEnvironmentVariable("PATH") ?? string.Empty).Split(':').Any(p => File.Exists(Path.Combine(p, "cc")))
            ? null
            : "No C compiler (cc) is on the path, which builds the fake GPU libraries.";

    /// <summary>The folder.</summary>
    public string Folder => _folder.Path;

    public void Dispose() => _folder.Dispose();

    private void Compile(string library)
    {
        var source = Path.Combine(RepositoryPaths.Root, "tests", "TestKit", "FakeGpu", "fake_gpu.c");
        var start = new ProcessStartInfo("cc", [
            "-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror", "-pthread", $"-DFAKE_{library}", source,
            "-o", _folder.File(s_files[library])])
        {
            RedirectStandardError = true,
        };
        using var process = Process.Start(start)!;
        var errors = process.StandardError.ReadToEnd();
        process.WaitForExit();
        if (process.ExitCode != 0)
        {
            throw new InvalidOperationException($"cc refused {source} for {library}:\n{errors}");
        }
    }
}
