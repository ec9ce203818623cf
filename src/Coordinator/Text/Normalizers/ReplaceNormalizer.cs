using TensorParallel.Coordinator.Text.Patterns;

namespace TensorParallel.Coordinator.Text.Normalizers;

/// <summary>Replaces every match of a pattern by a fixed text.</summary>
internal sealed class ReplaceNormalizer(ITextPattern pattern, string content) : INormalizer
{
    public static ReplaceNormalizer Read(TokenizerJson json) =>
        new(TextPatternReader.Read(json.Required("pattern")), json.Required("content").AsString());

    public string Normalize(string text) => pattern.Replace(text, content);
}
