using TensorParallel.Protocol.Checkpoints;

namespace TensorParallel.Worker.Ops.Cpu;

/// <summary>One attention call as the kernels see it; everything is checked before it is made.</summary>
internal readonly unsafe struct AttentionJob
{
    /// <summary>
    /// Tokens of a chunk of context: each chunk [256c, 256c + 256) has its own maximum and sum, and chunks are joined
    /// in order. Fixed, so that the result does not depend on how chunks are shared out.
    /// </summary>
    public const int ChunkTokens = 256;

    /// <summary>
    /// Query vectors that go through a chunk together, unless one token has more of them for a KV head.
    /// </summary>
    public const int BlockQueries = 48;

    /// <summary>Fused rows, element [0, 0]: query heads come first.</summary>
    public required float* Fused { get; init; }

    public required long FusedStride { get; init; }

    public required HeadLayout Heads { get; init; }

    public required AttentionOptions Options { get; init; }

    /// <summary>Position of each row.</summary>
    public required int* Positions { get; init; }

    /// <summary>[S, MaxBlocks].</summary>
    public required int* BlockTables { get; init; }

    public required long BlockTableStride { get; init; }

    public required byte* Keys { get; init; }

    public required byte* Values { get; init; }

    /// <summary>Dtype of keys and values.</summary>
    public required DType CacheDType { get; init; }

    public required int BlockTokens { get; init; }

    public required float* Output { get; init; }

    public required long OutputStride { get; init; }

    /// <summary>First context position that a row at <paramref name="position"/> sees.</summary>
    public int FirstVisible(int position) =>
        Options.SlidingWindow is { } window ? Math.Max(0, position - window + 1) : 0;

    /// <summary>First local query head that reads local KV head <paramref name="kvHead"/> or a later one.</summary>
    public int FirstQueryHead(int kvHead) =>
        Math.Clamp(((Heads.KeyValueStart + kvHead) * Heads.GroupSize) - Heads.QueryStart, 0, Heads.QueryHeads);

    /// <summary>Element [block, kvHead, token, 0] of keys or values, in elements.</summary>
    public long CacheIndex(int sequence, int kvHead, int position)
    {
        var block = BlockTables[(sequence * BlockTableStride) + (position / BlockTokens)];
        var row = ((((long)block * Heads.KeyValueHeads) + kvHead) * BlockTokens) + (position % BlockTokens);
        return row * Heads.HeadDim;
    }
}
