namespace TensorParallel.Protocol.Parallel;

/// <summary>Half-open range [Start, End) of logical rows or columns. JSON: <c>[start, end]</c>.</summary>
/// <param name="Start">First index.</param>
/// <param name="End">One past the last index; not below Start.</param>
public readonly record struct IndexRange(int Start, int End)
{
    /// <summary>Number of indices; may be 0.</summary>
    public int Length => End - Start;
}
