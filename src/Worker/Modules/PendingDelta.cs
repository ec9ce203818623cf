namespace TensorParallel.Worker.Modules;

/// <summary>What Delta holds that the residual stream lacks.</summary>
internal enum PendingDelta
{
    /// <summary>Nothing: the residual stream is complete.</summary>
    None,

    /// <summary>A term to be added.</summary>
    Whole,

    /// <summary>This rank's part of the term: it is the sum over the ranks that is to be added.</summary>
    PartialSum,
}
