namespace TensorParallel.Coordinator.Tests.Text;

/// <summary>Folders of this checkout, found upwards from the test program.</summary>
internal static class RepositoryFolder
{
    public static string DemoModel => Path.Combine(Root, "deploy", "demo-model");

    public static string Data => Path.Combine(Root, "tests", "Coordinator.Tests", "Text", "Data");

    private static string Root
    {
        get
        {
            var folder = new DirectoryInfo(AppContext.BaseDirectory);
            while (folder is not null && !File.Exists(Path.Combine(folder.FullName, "TensorParallel.sln")))
            {
                folder = folder.Parent;
            }

            return folder?.FullName
                ?? throw new DirectoryNotFoundException($"No TensorParallel.sln above {AppContext.BaseDirectory}.");
        }
    }
}
