using System.Globalization;
using System.Text;
using System.Text.Json;
using TensorParallel.Coordinator.Text;

namespace TensorParallel.Coordinator.Tests.Text;

/// <summary>Counts the differences between a tokenizer and the oracle, and describes the first few.</summary>
internal sealed class OracleComparison(Tokenizer tokenizer)
{
    private const int Shown = 6;

    private readonly StringBuilder _report = new();

    public int Cases { get; private set; }

    public int Differences { get; private set; }

    public string Report => $"{Differences} differences in {Cases} cases\n{_report}";

    public void Add(OracleCase expected)
    {
        Cases++;
        if (expected.Text is { } text)
        {
            Check("encode", text, Line(expected.Ids), Line(tokenizer.Encode(text)));
            Check("encode plain", text, Line(expected.Plain!), Line(tokenizer.Encode(text, addSpecialTokens: false)));
        }

        var source = Line(expected.Ids);
        Check("decode", source, expected.Decoded, tokenizer.Decode(expected.Ids, skipSpecialTokens: false));
        Check("decode skipping", source, expected.Skipped, tokenizer.Decode(expected.Ids));
        Check("stream", source, expected.Decoded, Stream(expected.Ids, skipSpecialTokens: false));
        Check("stream skipping", source, expected.Skipped, Stream(expected.Ids, skipSpecialTokens: true));
    }

    private string Stream(int[] ids, bool skipSpecialTokens)
    {
        var detokenizer = tokenizer.CreateDetokenizer(skipSpecialTokens);
        var text = new StringBuilder();
        foreach (var id in ids)
        {
            text.Append(WholeCharacters(detokenizer.Append(id)));
        }

        return text.Append(WholeCharacters(detokenizer.Flush())).ToString();
    }

    private static string WholeCharacters(string part) =>
        part.Length > 0 && (char.IsLowSurrogate(part[0]) || char.IsHighSurrogate(part[^1]))
            ? throw new InvalidOperationException($"Half a character in {JsonSerializer.Serialize(part)}")
            : part;

    private void Check(string what, string source, string expected, string actual)
    {
        if (expected == actual)
        {
            return;
        }

        if (Differences++ < Shown)
        {
            var at = expected.Zip(actual).TakeWhile(pair => pair.First == pair.Second).Count();
            _report.AppendLine(
                CultureInfo.InvariantCulture,
                $"{what} of {Cut(source, 0)}\n  expected {Cut(expected, at - 20)}\n  actual   {Cut(actual, at - 20)}");
        }
    }

    private static string Line(IEnumerable<int> ids) => string.Join(' ', ids);

    private static string Cut(string text, int from)
    {
        var start = Math.Clamp(from, 0, text.Length);
        return JsonSerializer.Serialize(text[start..Math.Min(text.Length, start + 90)]);
    }
}
