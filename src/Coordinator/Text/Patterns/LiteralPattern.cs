namespace TensorParallel.Coordinator.Text.Patterns;

/// <summary>Matches one fixed, non-empty text, compared unit by unit (never by culture).</summary>
internal sealed class LiteralPattern(string text) : ITextPattern
{
    public string Text => text;

    public void Cut(ReadOnlySpan<char> input, List<TextSpan> spans)
    {
        var from = 0;
        while (from < input.Length)
        {
            var found = input[from..].IndexOf(text, StringComparison.Ordinal);
            if (found != 0)
            {
                spans.Add(new TextSpan(from, found < 0 ? input.Length : from + found, false));
            }

            if (found < 0)
            {
                return;
            }

            spans.Add(new TextSpan(from + found, from + found + text.Length, true));
            from += found + text.Length;
        }
    }
}
