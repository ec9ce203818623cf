namespace TensorParallel.Coordinator.Hosting;

/// <summary>The small trained model that comes with the project, so that everything runs without a download.</summary>
internal static class DemoModel
{
    private const string Name = "demo-model";

    /// <summary>
    /// Its folder: beside the program (as a bundle lays it out), else <c>deploy/demo-model</c> of the checkout the
    /// program was built in. Independent of the working directory.
    /// </summary>
    /// <exception cref="FileNotFoundException">It is in neither place; the message lists them.</exception>
    public static string Folder()
    {
        var tried = new List<string>();
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            foreach (var candidate in new[] { Path.Combine(folder.FullName, Name), Path.Combine(folder.FullName, "deploy", Name) })
            {
                if (File.Exists(Path.Combine(candidate, "config.json")))
                {
                    return candidate;
                }

                tried.Add(candidate);
            }
        }

        throw new FileNotFoundException(
            $"The demo model was not found (tried {tried[0]} … {tried[^1]}): give a model folder with --model.");
    }
}
