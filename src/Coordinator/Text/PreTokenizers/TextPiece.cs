namespace TensorParallel.Coordinator.Text.PreTokenizers;

/// <summary>UTF-16 units [Start, End) of a text.</summary>
/// <param name="Start">First unit.</param>
/// <param name="End">One behind the last unit.</param>
/// <param name="BeginsInput">Whether it is the very beginning of what the user gave, before normalization.</param>
internal readonly record struct TextPiece(int Start, int End, bool BeginsInput)
{
    public int Length => End - Start;
}
