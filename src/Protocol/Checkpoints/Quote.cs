using System.Text;

namespace TensorParallel.Protocol.Checkpoints;

/// <summary>
/// Puts text that came out of a file into an error sentence: quoted, on one line and short, because a name in a hostile
/// header can hold line breaks or be megabytes long.
/// </summary>
public static class Quote
{
    private const int MaxChars = 160;

    public static string Of(string text)
    {
        // Never end on half a surrogate pair: such a string cannot be sent on as UTF-8.
        var length = Math.Min(text.Length, MaxChars);
        length -= length < text.Length && char.IsHighSurrogate(text[length - 1]) ? 1 : 0;
        var shown = new StringBuilder("\"", MaxChars + 8);
        foreach (var c in text.AsSpan(0, length))
        {
            shown.Append(char.IsControl(c) || c is '\u2028' or '\u2029' ? '\uFFFD' : c);
        }

        return shown.Append(text.Length > MaxChars ? "…\"" : "\"").ToString();
    }

    /// <summary>A shape as in "[512, 64]"; a scalar is "[]".</summary>
    public static string Shape(IReadOnlyList<long> shape) => $"[{string.Join(", ", shape)}]";
}
