namespace TensorParallel.TestKit;

/// <summary>
/// Where things lie in the checkout that the running test program was built in. Found by walking up from the program,
/// so that tests may be started from any working directory.
/// </summary>
public static class RepositoryPaths
{
    /// <summary>Names the checkout for programs that run outside it, from a bundle.</summary>
    private const string RootVariable = "TENSOR_PARALLEL_REPOSITORY";

    private const string RootMark = "TensorParallel.sln";

    /// <summary>The folder of the solution file.</summary>
    public static string Root { get; } = FindRoot();

    /// <summary>Debug or Release, as the running program was built: .../bin/Release/net10.0/X.Tests.dll.</summary>
    public static string Configuration { get; } =
        new DirectoryInfo(Path.TrimEndingDirectorySeparator(AppContext.BaseDirectory)).Parent!.Name;

    /// <summary>The trained demo model, with its goldens.</summary>
    public static string DemoModel => Existing("deploy", "demo-model");

    /// <summary>The coordinator of the same configuration.</summary>
    public static string CoordinatorDll => Program("Coordinator", "coordinator.dll");

    /// <summary>The worker of the same configuration.</summary>
    public static string WorkerDll => Program("Worker", "worker.dll");

    /// <summary>A golden checkpoint: "llama", "llama_bias" or "llama_tied_hd64".</summary>
    public static string Golden(string family) => Existing("tests", "Golden", family);

    private static string Program(string project, string file) =>
        Existing("src", project, "bin", Configuration, "net10.0", file);

    private static string Existing(params ReadOnlySpan<string> parts)
    {
        var path = Path.Combine([Root, .. parts]);
        return Path.Exists(path)
            ? path
            : throw new InvalidOperationException($"{path} does not exist: build it first or check it out.");
    }

    private static string FindRoot()
    {
        if (Environment.GetEnvironmentVariable(RootVariable) is { Length: > 0 } given)
        {
            return Path.GetFullPath(given);
        }

        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            if (File.Exists(Path.Combine(folder.FullName, RootMark)))
            {
                return folder.FullName;
            }
        }

        throw new InvalidOperationException(
            $"No folder above {AppContext.BaseDirectory} holds {RootMark}; {RootVariable} names the checkout.");
    }
}
