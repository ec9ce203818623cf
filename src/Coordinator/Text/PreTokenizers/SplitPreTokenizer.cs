using TensorParallel.Coordinator.Text.Patterns;

namespace TensorParallel.Coordinator.Text.PreTokenizers;

/// <summary>Cuts at a literal or a regular expression.</summary>
internal sealed class SplitPreTokenizer(ITextPattern pattern, SplitBehavior behavior, bool invert) : IPreTokenizer
{
    public static SplitPreTokenizer Read(TokenizerJson json) => new(
        TextPatternReader.Read(json.Required("pattern")),
        SplitBehaviors.Read(json.Required("behavior")),
        json.Flag("invert", absent: false));

    public void Apply(SplitText text) => text.Cut(pattern, behavior, invert);
}
