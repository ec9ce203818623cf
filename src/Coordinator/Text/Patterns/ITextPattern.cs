namespace TensorParallel.Coordinator.Text.Patterns;

/// <summary>Something that finds matches in text: a literal, a regular expression, a class of characters.</summary>
internal interface ITextPattern
{
    /// <summary>
    /// Adds spans that cover the whole text in order: "a12b" cut at digits gives [0,1) no, [1,2) yes, [2,3) yes,
    /// [3,4) no. Nothing is added for an empty text. Neighbouring matches stay separate.
    /// </summary>
    void Cut(ReadOnlySpan<char> text, List<TextSpan> spans);
}
