using TensorParallel.Coordinator.Api;

namespace TensorParallel.Coordinator.Hosting;

/// <summary>Which folders callers of the admin service may name. Immutable.</summary>
internal sealed class ModelRoots
{
    private readonly IReadOnlyList<string> _roots;
    private readonly IReadOnlyList<string> _named;

    /// <param name="roots">Folders below which models may be loaded.</param>
    /// <param name="named">Models of the command line: these may be loaded again.</param>
    /// <exception cref="DirectoryNotFoundException">A root is not there.</exception>
    public ModelRoots(IEnumerable<string> roots, IEnumerable<string> named)
    {
        _roots = [.. roots.Select(root => Directory.Exists(root)
            ? RealPath(root)
            : throw new DirectoryNotFoundException($"--model-root {root}: there is no such folder."))];
        _named = [.. named.Select(RealPath)];
    }

    /// <summary>The folder's full path, symbolic links followed, so that none leads out of what is allowed.</summary>
    /// <exception cref="FolderNotAllowedException">It lies elsewhere, whether or not it exists.</exception>
    public string Resolve(string folder)
    {
        var path = Path.IsPathFullyQualified(folder) ? RealPathOrNull(folder) : null;
        return path is not null && (_named.Contains(path) || _roots.Any(root => IsBelow(path, root)))
            ? path
            : throw new FolderNotAllowedException(folder);
    }

    private static string? RealPathOrNull(string folder)
    {
        try
        {
            return RealPath(folder);
        }
        catch (Exception e) when (e is IOException or ArgumentException or UnauthorizedAccessException)
        {
            return null; // what cannot be followed to its end is not allowed
        }
    }

    private static bool IsBelow(string path, string root) =>
        path.StartsWith(root.EndsWith('/') ? root : root + '/', StringComparison.Ordinal);

    // As realpath(3) does, but parts that do not exist are kept as they are.
    private static string RealPath(string path)
    {
        const int MostLinks = 40;
        var links = 0;
        var left = new Stack<string>(Parts(Path.GetFullPath(path)));
        var real = "/";
        while (left.TryPop(out var part))
        {
            var next = Path.Combine(real, part);
            if (new FileInfo(next).LinkTarget is { } target)
            {
                if (++links > MostLinks)
                {
                    throw new IOException($"{path}: there are more than {MostLinks} symbolic links on the way.");
                }

                var whole = Path.GetFullPath(target, real);
                real = "/";
                foreach (var piece in Parts(whole))
                {
                    left.Push(piece);
                }
            }
            else
            {
                real = next;
            }
        }

        return real;

        static IEnumerable<string> Parts(string full) => full.Split('/', StringSplitOptions.RemoveEmptyEntries).Reverse();
    }
}
