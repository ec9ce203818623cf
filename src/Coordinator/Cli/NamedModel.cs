using System.Text.RegularExpressions;

namespace TensorParallel.Coordinator.Cli;

/// <summary>A model of a command line that takes several: <c>DIR</c> or <c>name=DIR</c>.</summary>
/// <param name="Name">Name to serve it under; null: the folder's.</param>
/// <param name="Path">Model folder.</param>
internal sealed partial record NamedModel(string? Name, string Path)
{
    /// <summary>Reads one; a path with an equals sign in it that exists is that path.</summary>
    public static NamedModel Parse(string text) => !System.IO.Path.Exists(text) && Named().Match(text) is { Success: true } match
        ? new NamedModel(match.Groups[1].Value, match.Groups[2].Value)
        : new NamedModel(null, text);

    [GeneratedRegex("^([A-Za-z0-9][A-Za-z0-9._-]{0,127})=(.*)$")]
    private static partial Regex Named();
}
