using System.Text;

namespace TensorParallel.Coordinator.Text.Patterns;

/// <summary>Replacing all matches of a pattern by a fixed text (never by a template: "$1" means itself).</summary>
internal static class TextPatternReplace
{
    public static string Replace(this ITextPattern pattern, string text, string content)
    {
        if (pattern is LiteralPattern literal)
        {
            return text.Replace(literal.Text, content, StringComparison.Ordinal);
        }

        var spans = new List<TextSpan>();
        pattern.Cut(text, spans);
        var result = new StringBuilder(text.Length);
        foreach (var span in spans)
        {
            result.Append(span.IsMatch ? content : text.AsSpan(span.Start, span.End - span.Start));
        }

        return result.ToString();
    }
}
