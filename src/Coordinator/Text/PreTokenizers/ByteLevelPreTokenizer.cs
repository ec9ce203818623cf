using System.Text;
using TensorParallel.Coordinator.Text.Patterns;

namespace TensorParallel.Coordinator.Text.PreTokenizers;

/// <summary>
/// Writes the UTF-8 bytes of text as characters of the <see cref="ByteAlphabet"/> (" é" becomes ĠÃ©), after cutting it
/// by the expression of GPT-2 if <paramref name="words"/> is given.
/// </summary>
internal sealed class ByteLevelPreTokenizer(bool addPrefixSpace, ITextPattern? words) : IPreTokenizer
{
    private const string Words =
        @"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";

    public static ByteLevelPreTokenizer Read(TokenizerJson json) => new(
        json.Flag("add_prefix_space", absent: true),
        json.Flag("use_regex", absent: true) ? new RegexPattern(Words, json) : null);

    public void Apply(SplitText text)
    {
        if (addPrefixSpace)
        {
            text.Rewrite((piece, result) =>
            {
                var span = text.Of(piece);
                _ = span.StartsWith(" ") ? result.Append(span) : result.Append(' ').Append(span);
            });
        }

        if (words is not null)
        {
            text.Cut(words, SplitBehavior.Isolated);
        }

        text.Rewrite((piece, result) => AppendBytes(text.Of(piece), result));
    }

    private static void AppendBytes(ReadOnlySpan<char> text, StringBuilder result)
    {
        Span<byte> utf8 = stackalloc byte[4];
        foreach (var rune in text.EnumerateRunes())
        {
            var count = rune.EncodeToUtf8(utf8);
            foreach (var value in utf8[..count])
            {
                result.Append(ByteAlphabet.CharacterOf(value));
            }
        }
    }
}
