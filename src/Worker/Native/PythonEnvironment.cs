namespace TensorParallel.Worker.Native;

/// <summary>Where Python packages put NVIDIA's libraries: <c>site-packages/nvidia/*/lib</c>.</summary>
internal static class PythonEnvironment
{
    /// <summary>
    /// Folders of the active environment (VIRTUAL_ENV, CONDA_PREFIX, else the environment that the first python3 on the path
    /// belongs to), then of the system's Python, that exist.
    /// </summary>
    internal static IEnumerable<string> NativeFolders(Func<string, string?> environment) =>
        Roots(environment)
            .SelectMany(SitePackages)
            .Select(site => Path.Combine(site, "nvidia"))
            .Where(Directory.Exists)
            .Distinct(StringComparer.Ordinal)
            .SelectMany(nvidia => Directory.EnumerateDirectories(nvidia).Order(StringComparer.Ordinal))
            .Select(package => Path.Combine(package, "lib"))
            .Where(Directory.Exists);

    private static IEnumerable<string> Roots(Func<string, string?> environment)
    {
        foreach (var name in (string[])["VIRTUAL_ENV", "CONDA_PREFIX"])
        {
            if (environment(name) is { Length: > 0 } root)
            {
                yield return Path.Combine(root, "lib");
            }
        }

        var onPath = (environment("PATH") ?? string.Empty)
            .Split(':', StringSplitOptions.RemoveEmptyEntries)
            .FirstOrDefault(bin => File.Exists(Path.Combine(bin, "python3")));
        if (onPath is not null && Path.GetDirectoryName(onPath.TrimEnd('/')) is { } prefix)
        {
            yield return Path.Combine(prefix, "lib");
        }

        yield return "/usr/local/lib";
        yield return "/usr/lib";
    }

    private static IEnumerable<string> SitePackages(string lib)
    {
        if (!Directory.Exists(lib))
        {
            yield break;
        }

        foreach (var python in Directory.EnumerateDirectories(lib, "python3*").Order(StringComparer.Ordinal))
        {
            yield return Path.Combine(python, "site-packages");
            yield return Path.Combine(python, "dist-packages");
        }
    }
}
