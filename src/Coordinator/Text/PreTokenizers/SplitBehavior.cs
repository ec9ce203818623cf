namespace TensorParallel.Coordinator.Text.PreTokenizers;

/// <summary>What becomes of a match when text is cut. "a-b" cut at "-" gives, in this order of the members:</summary>
internal enum SplitBehavior
{
    /// <summary>a, b</summary>
    Removed,

    /// <summary>a, -, b</summary>
    Isolated,

    /// <summary>a-, b</summary>
    MergedWithPrevious,

    /// <summary>a, -b</summary>
    MergedWithNext,

    /// <summary>As Isolated, but a run of matches is one piece: "a--b" gives a, --, b.</summary>
    Contiguous,
}
