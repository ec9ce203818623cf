namespace TensorParallel.Coordinator.Text.Models;

/// <summary>
/// Where a text may be cut without changing its tokens. Vocabularies without a pre-tokenizer (Llama 2, Gemma) give the
/// whole text to the model as one word, too long to cache. But where no token holds "x▁", nothing ever merges across
/// those two characters, so that "the▁cat" may be encoded as "the", "▁cat". Immutable.
/// </summary>
internal sealed class SpaceMarkCuts
{
    private readonly bool[] _cutsBehind = new bool[0x10000];
    private readonly char _mark;

    /// <param name="vocabulary">All tokens that merging can make.</param>
    /// <param name="mark">The character that stands for a space.</param>
    /// <param name="isToken">
    /// Whether a character is a token. Others become bytes or unknown tokens, which may join over the cut.
    /// </param>
    public SpaceMarkCuts(Vocabulary vocabulary, char mark, Func<char, bool> isToken)
    {
        _mark = mark;
        for (var unit = 0; unit < _cutsBehind.Length; unit++)
        {
            _cutsBehind[unit] = isToken((char)unit);
        }

        foreach (var token in vocabulary.Tokens.Where(token => token.Length > 1))
        {
            for (var at = token.IndexOf(mark, 1); at > 0; at = token.IndexOf(mark, at + 1))
            {
                _cutsBehind[token[at - 1]] = false;
            }
        }
    }

    /// <summary>The length of the first part, or -1 when there is no cut.</summary>
    public int Next(ReadOnlySpan<char> word)
    {
        for (var at = 1; at < word.Length; at++)
        {
            var found = word[at..].IndexOf(_mark);
            if (found < 0)
            {
                return -1;
            }

            at += found;
            if (_cutsBehind[word[at - 1]])
            {
                return at;
            }
        }

        return -1;
    }
}
