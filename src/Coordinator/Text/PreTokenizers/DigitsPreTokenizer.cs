using TensorParallel.Coordinator.Text.Patterns;

namespace TensorParallel.Coordinator.Text.PreTokenizers;

/// <summary>Separates numbers from the rest, digit by digit or in runs.</summary>
internal sealed class DigitsPreTokenizer(bool individually) : IPreTokenizer
{
    private static readonly RunePattern s_numeric = new(UnicodeClasses.IsNumeric);

    public static DigitsPreTokenizer Read(TokenizerJson json) => new(json.Flag("individual_digits", absent: false));

    public void Apply(SplitText text) =>
        text.Cut(s_numeric, individually ? SplitBehavior.Isolated : SplitBehavior.Contiguous);
}
