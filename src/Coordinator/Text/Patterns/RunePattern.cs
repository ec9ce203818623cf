using System.Text;

namespace TensorParallel.Coordinator.Text.Patterns;

/// <summary>Matches each single code point that a predicate accepts.</summary>
internal sealed class RunePattern(Func<Rune, bool> accepts) : ITextPattern
{
    public void Cut(ReadOnlySpan<char> text, List<TextSpan> spans)
    {
        var (unmatched, at) = (0, 0);
        foreach (var rune in text.EnumerateRunes())
        {
            var next = at + rune.Utf16SequenceLength;
            if (accepts(rune))
            {
                if (unmatched < at)
                {
                    spans.Add(new TextSpan(unmatched, at, false));
                }

                spans.Add(new TextSpan(at, next, true));
                unmatched = next;
            }

            at = next;
        }

        if (unmatched < at)
        {
            spans.Add(new TextSpan(unmatched, at, false));
        }
    }
}
