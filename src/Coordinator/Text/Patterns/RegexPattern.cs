using System.Text.RegularExpressions;

namespace TensorParallel.Coordinator.Text.Patterns;

/// <summary>
/// A regular expression of a tokenizer file. Those are written for an engine that sees code points and in which ^ and
/// $ mean lines; .NET sees UTF-16 units, hence <see cref="AstralShadow"/>, and <see cref="RegexOptions.Multiline"/>.
/// The file may hold any expression, so one match may take <see cref="s_limit"/> at most. (The non-backtracking engine
/// would need no limit, but has no lookahead, and every byte-level vocabulary's expression has one: \s+(?!\S).)
/// </summary>
internal sealed class RegexPattern : ITextPattern
{
    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(2);

    private readonly Regex _regex;
    private readonly string _where;

    /// <param name="pattern">The expression.</param>
    /// <param name="json">Where it stands, for complaints.</param>
    public RegexPattern(string pattern, TokenizerJson json)
    {
        _where = json.Wrong($"needs more than {s_limit.TotalSeconds} s to match this text with '{pattern}'").Message;
        try
        {
            const RegexOptions Options = RegexOptions.Compiled | RegexOptions.CultureInvariant | RegexOptions.Multiline;
            _regex = new Regex(pattern, Options, s_limit);
        }
        catch (ArgumentException e)
        {
            throw json.Wrong($"is a regular expression that cannot be used here: {e.Message.TrimEnd('.')}");
        }
    }

    public void Cut(ReadOnlySpan<char> text, List<TextSpan> spans)
    {
        try
        {
            if (text.ContainsAnyInRange('\ud800', '\udfff'))
            {
                var shadow = new AstralShadow(text);
                var first = spans.Count;
                CutUnits(shadow.Text, spans);
                for (var i = first; i < spans.Count; i++)
                {
                    var span = spans[i];
                    spans[i] = new TextSpan(shadow.Origin(span.Start), shadow.Origin(span.End), span.IsMatch);
                }
            }
            else
            {
                CutUnits(text, spans);
            }
        }
        catch (RegexMatchTimeoutException e)
        {
            throw new TokenizerException(_where, e);
        }
    }

    private void CutUnits(ReadOnlySpan<char> text, List<TextSpan> spans)
    {
        var end = 0;
        foreach (var match in _regex.EnumerateMatches(text))
        {
            if (end != match.Index)
            {
                spans.Add(new TextSpan(end, match.Index, false));
            }

            end = match.Index + match.Length;
            spans.Add(new TextSpan(match.Index, end, true));
        }

        if (end != text.Length)
        {
            spans.Add(new TextSpan(end, text.Length, false));
        }
    }
}
