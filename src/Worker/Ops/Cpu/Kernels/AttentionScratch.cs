namespace TensorParallel.Worker.Ops.Cpu.Kernels;

/// <summary>
/// How one thread's floats are laid out while it attends; "queries" are query vectors, rows times heads.
/// </summary>
internal readonly unsafe struct AttentionScratch
{
    /// <summary>Cuts up <paramref name="memory"/>.</summary>
    /// <param name="memory">At least <see cref="Floats"/> floats, 64-byte aligned.</param>
    /// <param name="queries">Most query vectors at once.</param>
    /// <param name="paddedDim">Head size padded to two registers.</param>
    public AttentionScratch(float* memory, int queries, int paddedDim)
    {
        var rows = Rows(queries);
        Packed = memory;
        Result = Packed + (rows * paddedDim);
        Total = Result + PartialFloats(queries, paddedDim);
        Scores = Total + PartialFloats(queries, paddedDim);
        Cache = Scores + (rows * AttentionJob.ChunkTokens);
    }

    /// <summary>Queries packed for dot tiles.</summary>
    public float* Packed { get; }

    /// <summary>A chunk's sums [queries, paddedDim], then maxima and sums of weights, one a query each.</summary>
    public float* Result { get; }

    /// <summary>The same for the chunks so far.</summary>
    public float* Total { get; }

    /// <summary>[queries, ChunkTokens].</summary>
    public float* Scores { get; }

    /// <summary>
    /// [ChunkTokens, paddedDim]: keys or values as floats, where their size fills no whole registers.
    /// </summary>
    public float* Cache { get; }

    /// <summary>Queries padded: tiles write up to five rows more than there are.</summary>
    public static int Rows(int queries) => (queries + 15) / 8 * 8;

    /// <summary>Floats of one <see cref="Result"/>.</summary>
    public static int PartialFloats(int queries, int paddedDim) => Rows(queries) * (paddedDim + 16);

    /// <summary>Floats of all.</summary>
    public static int Floats(int queries, int paddedDim) =>
        (Rows(queries) * (paddedDim + AttentionJob.ChunkTokens)) + (2 * PartialFloats(queries, paddedDim)) +
        (AttentionJob.ChunkTokens * paddedDim);
}
