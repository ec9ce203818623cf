namespace TensorParallel.Protocol.Parallel;

/// <summary>
/// Left side of a plan's rule, in Hugging Face's syntax: the dotted path of a module or of a parameter, with or without
/// the leading <c>model.</c>, where <c>*</c> stands for one layer number. <c>layers.*.self_attn.q_proj</c> names weight
/// and bias of every layer. The one matcher of the system. Immutable.
/// </summary>
internal sealed class TpKey
{
    private const string Wildcard = "*";
    private const string Prefix = "model.";

    private readonly string[] _segments;

    private TpKey(string text, string[] segments)
    {
        Text = text;
        _segments = segments;
        Normalized = string.Join('.', segments);
        Wildcards = segments.Count(s => s == Wildcard);
    }

    /// <summary>As written.</summary>
    public string Text { get; }

    /// <summary>Without the leading <c>model.</c>: equal for two keys that name the same.</summary>
    public string Normalized { get; }

    /// <summary>How many <c>*</c> it has: of two keys that match, the one with fewer is the more specific.</summary>
    public int Wildcards { get; }

    /// <summary>Reads a key.</summary>
    /// <param name="text">As the plan has it.</param>
    /// <param name="key">Null when it is not one.</param>
    /// <returns>What is wrong with it, or null.</returns>
    public static string? TryParse(string text, out TpKey? key)
    {
        key = null;
        var segments = Segments(text);
        if (segments.Any(s => s.Length == 0))
        {
            return "the key has an empty name between dots; write it like layers.*.self_attn.q_proj.";
        }

        if (segments.Any(s => s != Wildcard && s.Contains('*')))
        {
            return "a * stands for a whole layer number, not for a part of a name.";
        }

        key = new TpKey(text, segments);
        return null;
    }

    /// <summary>A module's or parameter's path, ready for <see cref="Matches"/>.</summary>
    public static string[] Segments(string path) => Normalize(path).Split('.');

    /// <summary>The path without a leading <c>model.</c>.</summary>
    public static string Normalize(string path) =>
        path.StartsWith(Prefix, StringComparison.Ordinal) ? path[Prefix.Length..] : path;

    /// <summary>Whether this key names exactly this path.</summary>
    public bool Matches(ReadOnlySpan<string> path)
    {
        if (path.Length != _segments.Length)
        {
            return false;
        }

        for (var i = 0; i < path.Length; i++)
        {
            var matches = _segments[i] == Wildcard ? IsNumber(path[i]) : _segments[i] == path[i];
            if (!matches)
            {
                return false;
            }
        }

        return true;
    }

    /// <summary>The path with every layer number replaced: what most plans would write.</summary>
    public static string Generalize(string path) =>
        string.Join('.', Segments(path).Select(s => IsNumber(s) ? Wildcard : s));

    private static bool IsNumber(string segment) => segment.Length > 0 && segment.All(char.IsAsciiDigit);
}
