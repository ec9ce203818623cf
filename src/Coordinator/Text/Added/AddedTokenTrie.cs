using System.Buffers;
using System.Text;

namespace TensorParallel.Coordinator.Text.Added;

/// <summary>
/// Finds added tokens: leftmost first, the longest where several begin, never overlapping. A vectorised search for
/// first characters, then a trie; a regular expression of thousands of alternatives would be slow. Immutable.
/// </summary>
internal sealed class AddedTokenTrie
{
    // (node, character) -> node; node 0 is the root.
    private readonly Dictionary<(int Node, char Character), int> _edges = [];
    private readonly List<AddedToken?> _ends = [null];
    private readonly SearchValues<char> _firsts;

    /// <param name="tokens">Each with the text to look for; of two with the same text the first wins.</param>
    public AddedTokenTrie(IEnumerable<(string Text, AddedToken Token)> tokens)
    {
        var firsts = new HashSet<char>();
        foreach (var (text, token) in tokens.Where(t => t.Text.Length > 0))
        {
            firsts.Add(text[0]);
            var node = 0;
            foreach (var character in text)
            {
                if (!_edges.TryGetValue((node, character), out var next))
                {
                    next = _ends.Count;
                    _ends.Add(null);
                    _edges.Add((node, character), next);
                }

                node = next;
            }

            _ends[node] ??= token;
        }

        _firsts = SearchValues.Create([.. firsts]);
    }

    /// <summary>The sections that cover the text, in order; nothing for an empty text.</summary>
    public List<TextSection> Cut(string text)
    {
        var sections = new List<TextSection>();
        var (covered, from) = (0, 0);
        while (Find(text, from) is ({ } token, var start, var end))
        {
            // The search goes on behind the match itself, whether it counts or not and whatever it swallows.
            from = end;
            if (token.SingleWord && !StandsAlone(text, start, end))
            {
                continue;
            }

            while (token.LeftStrip && start > covered && UnicodeClasses.IsSpace(text[start - 1]))
            {
                start--;
            }

            while (token.RightStrip && end < text.Length && UnicodeClasses.IsSpace(text[end]))
            {
                end++;
            }

            if (covered < start)
            {
                sections.Add(new TextSection(null, covered, start));
            }

            sections.Add(new TextSection(token.Id, start, end));
            covered = end;
        }

        if (covered < text.Length)
        {
            sections.Add(new TextSection(null, covered, text.Length));
        }

        return sections;
    }

    private (AddedToken? Token, int Start, int End) Find(string text, int from)
    {
        while (text.AsSpan(from).IndexOfAny(_firsts) is >= 0 and var skipped)
        {
            var start = from + skipped;
            (AddedToken? Token, int Start, int End) longest = default;
            var node = 0;
            for (var at = start; at < text.Length && _edges.TryGetValue((node, text[at]), out node); at++)
            {
                if (_ends[node] is { } token)
                {
                    longest = (token, start, at + 1);
                }
            }

            if (longest.Token is not null)
            {
                return longest;
            }

            from = start + 1;
        }

        return default;
    }

    private static bool StandsAlone(string text, int start, int end)
    {
        if (start > 0)
        {
            _ = Rune.DecodeLastFromUtf16(text.AsSpan(0, start), out var before, out _);
            if (UnicodeClasses.IsWord(before))
            {
                return false;
            }
        }

        if (end == text.Length)
        {
            return true;
        }

        _ = Rune.DecodeFromUtf16(text.AsSpan(end), out var behind, out _);
        return !UnicodeClasses.IsWord(behind);
    }
}
