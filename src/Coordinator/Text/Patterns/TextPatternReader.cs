namespace TensorParallel.Coordinator.Text.Patterns;

/// <summary>Reads {"String": "x"} or {"Regex": "x+"}.</summary>
internal static class TextPatternReader
{
    public static ITextPattern Read(TokenizerJson json)
    {
        if (json.Optional("Regex") is { } regex)
        {
            return new RegexPattern(regex.AsString(), regex);
        }

        if (json.Optional("String") is not { } literal)
        {
            throw json.Wrong("must have the key String or Regex");
        }

        var text = literal.AsString();
        return text.Length > 0 ? new LiteralPattern(text) : throw literal.Wrong("must not be empty");
    }
}
