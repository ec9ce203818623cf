using System.Diagnostics;
using System.Runtime.InteropServices;

namespace TensorParallel.Coordinator.Launching;

/// <summary>Where the worker program is and how it is started.</summary>
/// <param name="Path">The worker's .dll, or an executable.</param>
internal sealed record WorkerProgram(string Path)
{
    /// <summary>Names another worker program (a .dll or an executable).</summary>
    public const string OverrideVariable = "TENSOR_PARALLEL_WORKER";

    private const string Library = "worker.dll";

    /// <summary>
    /// Finds the worker: the override, the folder of this program (a bundle), or the source tree's
    /// <c>src/Worker/bin/CONFIGURATION/FRAMEWORK</c> above it. Independent of the working directory.
    /// Throws <see cref="WorkerLaunchException"/> with the list of what was tried.
    /// </summary>
    /// <param name="baseFolder">Folder of the running program.</param>
    /// <param name="overridePath">Value of <see cref="OverrideVariable"/>; null or empty when it is not set.</param>
    public static WorkerProgram Find(string baseFolder, string? overridePath)
    {
        if (!string.IsNullOrEmpty(overridePath))
        {
            var full = System.IO.Path.GetFullPath(overridePath);
            return File.Exists(full)
                ? new WorkerProgram(full)
                : throw new WorkerLaunchException(
                    $"{OverrideVariable} names {full}, which is no file; "
                    + "set it to the worker program or unset it.");
        }

        var tried = Candidates(new DirectoryInfo(baseFolder)).ToList();
        var found = tried.Find(File.Exists);
        return found is null
            ? throw new WorkerLaunchException(
                $"The worker program is not built: there is none of {string.Join(", ", tried)}; "
                + $"run 'dotnet build' on the solution, or set {OverrideVariable} to the worker program.")
            : new WorkerProgram(found);
    }

    /// <summary>A start of this program with the given arguments; output redirected, environment inherited.</summary>
    public ProcessStartInfo ToStartInfo(params IEnumerable<string> arguments)
    {
        var start = new ProcessStartInfo
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            UseShellExecute = false,
        };
        if (Path.EndsWith(".dll", StringComparison.Ordinal))
        {
            // The runtime that runs this very process: an apphost would look for one in the usual places only.
            start.FileName = DotnetHost();
            start.ArgumentList.Add(Path);
        }
        else
        {
            start.FileName = Path;
        }

        foreach (var argument in arguments)
        {
            start.ArgumentList.Add(argument);
        }

        return start;
    }

    private static IEnumerable<string> Candidates(DirectoryInfo baseFolder)
    {
        // A bundle brings the runtime along; only the worker's own executable finds it there.
        yield return File.Exists(System.IO.Path.Combine(baseFolder.FullName, "libcoreclr.so"))
            ? System.IO.Path.Combine(baseFolder.FullName, "worker")
            : System.IO.Path.Combine(baseFolder.FullName, Library);

        // …/src/Coordinator/bin/Release/net10.0 → …/src/Worker/bin/Release/net10.0; tests lie beside src.
        var trimmed = new DirectoryInfo(System.IO.Path.TrimEndingDirectorySeparator(baseFolder.FullName));
        for (var above = trimmed.Parent?.Parent; above is not null; above = above.Parent)
        {
            var sources = System.IO.Path.Combine(above.FullName, "src");
            if (Directory.Exists(sources))
            {
                yield return System.IO.Path.Combine(
                    sources, "Worker", "bin", trimmed.Parent!.Name, trimmed.Name, Library);
            }
        }
    }

    private static string DotnetHost()
    {
        if (System.IO.Path.GetFileNameWithoutExtension(Environment.ProcessPath) == "dotnet")
        {
            return Environment.ProcessPath!;
        }

        // <root>/shared/Microsoft.NETCore.App/10.0.x/
        var root = System.IO.Path.Combine(RuntimeEnvironment.GetRuntimeDirectory(), "..", "..", "..");
        var host = System.IO.Path.GetFullPath(System.IO.Path.Combine(root, "dotnet"));
        return File.Exists(host) ? host : "dotnet";
    }
}
