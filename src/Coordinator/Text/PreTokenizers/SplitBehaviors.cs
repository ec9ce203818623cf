using TensorParallel.Coordinator.Text.Patterns;

namespace TensorParallel.Coordinator.Text.PreTokenizers;

/// <summary>Turns matches into pieces by a <see cref="SplitBehavior"/>.</summary>
internal static class SplitBehaviors
{
    public static SplitBehavior Read(TokenizerJson json)
    {
        var name = json.AsString();
        // Not TryParse: that would also take "0".
        var at = Array.IndexOf(Enum.GetNames<SplitBehavior>(), name);
        return at >= 0 ? Enum.GetValues<SplitBehavior>()[at] : throw json.Wrong(
            $"is '{name}', but must be one of {string.Join(", ", Enum.GetNames<SplitBehavior>())}");
    }

    /// <summary>Rewrites the spans, which cover a text, in place. Inverting swaps match and rest.</summary>
    public static void Regroup(this SplitBehavior behavior, List<TextSpan> spans, bool invert)
    {
        switch (behavior)
        {
            case SplitBehavior.Removed:
                spans.RemoveAll(span => span.IsMatch != invert);
                break;
            case SplitBehavior.Isolated:
                break;
            case SplitBehavior.Contiguous:
                Merge(spans, (previous, current) => previous == current, first: invert);
                break;
            case SplitBehavior.MergedWithPrevious:
                // Only the first of several neighbouring matches joins the piece before it.
                Merge(spans, (previous, current) => current != invert && previous == invert, first: invert);
                break;
            case SplitBehavior.MergedWithNext:
                MergeBackwards(spans, invert);
                break;
            default:
                throw new ArgumentOutOfRangeException(nameof(behavior), behavior, null);
        }
    }

    // `first` is what stands for "the span before the first one": no match.
    private static void Merge(List<TextSpan> spans, Func<bool, bool, bool> joins, bool first)
    {
        var kept = 0;
        var previous = first;
        for (var i = 0; i < spans.Count; i++)
        {
            var span = spans[i];
            if (kept > 0 && joins(previous, span.IsMatch))
            {
                spans[kept - 1] = spans[kept - 1] with { End = span.End };
            }
            else
            {
                spans[kept++] = span;
            }

            previous = span.IsMatch;
        }

        spans.RemoveRange(kept, spans.Count - kept);
    }

    private static void MergeBackwards(List<TextSpan> spans, bool invert)
    {
        var kept = spans.Count;
        var following = invert;
        for (var i = spans.Count - 1; i >= 0; i--)
        {
            var span = spans[i];
            if (kept < spans.Count && span.IsMatch != invert && following == invert)
            {
                spans[kept] = spans[kept] with { Start = span.Start };
            }
            else
            {
                spans[--kept] = span;
            }

            following = span.IsMatch;
        }

        spans.RemoveRange(0, kept);
    }
}
