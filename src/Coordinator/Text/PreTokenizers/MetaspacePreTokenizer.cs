using TensorParallel.Coordinator.Text.Patterns;

namespace TensorParallel.Coordinator.Text.PreTokenizers;

/// <summary>
/// Writes spaces as a visible character (▁), puts one in front, and may cut before each: "a b" becomes ▁a, ▁b.
/// </summary>
internal sealed class MetaspacePreTokenizer(string replacement, PrependScheme scheme, bool split) : IPreTokenizer
{
    private readonly LiteralPattern _pattern = new(replacement);

    public static MetaspacePreTokenizer Read(TokenizerJson json) => new(
        json.Required("replacement").AsCharacter(), PrependSchemes.Read(json), json.Flag("split", absent: true));

    public void Apply(SplitText text)
    {
        text.Rewrite((piece, result) =>
        {
            var span = text.Of(piece);
            var prepend = scheme == PrependScheme.Always || (scheme == PrependScheme.First && piece.BeginsInput);
            if (prepend && !span.StartsWith(" ") && !span.StartsWith(replacement, StringComparison.Ordinal))
            {
                result.Append(replacement);
            }

            foreach (var unit in span)
            {
                _ = unit == ' ' ? result.Append(replacement) : result.Append(unit);
            }
        });
        if (split)
        {
            text.Cut(_pattern, SplitBehavior.MergedWithNext);
        }
    }
}
