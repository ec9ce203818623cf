namespace TensorParallel.Worker.Ops.Cuda;

/// <summary>Which rows a block of prefill attention's Hopper kernel has: <c>spread</c> in attention_wgmma.cu. Bits are the same.</summary>
internal enum PrefillSpread
{
    /// <summary>128 rows side by side.</summary>
    Together = 0,

    /// <summary>64 rows from the start and 64 from the end, so that all blocks have as much to do; only without a window.</summary>
    Mirrored = 1,

    /// <summary>64 rows.</summary>
    Apart = 2,
}
