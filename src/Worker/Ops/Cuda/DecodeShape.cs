namespace TensorParallel.Worker.Ops.Cuda;

/// <summary>How attention_decode.cu is compiled for a head size and a device.</summary>
/// <param name="Join">How parts of a context join.</param>
/// <param name="Warps">Warps of a block.</param>
/// <param name="Stages">Most key/value tiles of 16 tokens in each warp's ring.</param>
/// <param name="Blocks">
/// Blocks that a multiprocessor is to hold: 2 where there are contexts for more than one on each, which take all fast memory as shared
/// memory then (128 columns: 2 of 105 KB); with one, the kernel shares the division of the other small ones.
/// The code is the same: 4 warps with the 255 registers that a thread has at most fit twice (2 x 128 x 255 of 65,536).
/// </param>
internal readonly record struct DecodeShape(DecodeJoin Join, int Warps, int Stages, int Blocks = 1)
{
    /// <summary>Chooses the join: <c>memory</c> or <c>cluster</c>; unset: the faster one by shape.</summary>
    internal const string Variable = "TP_CUDA_ATTENTION_JOIN";

    /// <summary>Tokens of a tile; <c>TOKENS</c> in the kernel.</summary>
    public const int Tokens = 16;

    /// <summary>Most parts of one context; <c>MAX_SPLITS</c> in the kernel.</summary>
    public const int MaxSplits = 128;

    /// <summary>Most blocks of a cluster on every device that has them.</summary>
    public const int MaxCluster = 8;

    private const int Hopper = 90;

    // Longer parts are a matter of bandwidth, which more but smaller blocks use better.
    private const int ClusterTokens = 512;

    private static readonly (int Warps, int Stages)[] s_choices = [(4, 3), (4, 2), (2, 2)];

    // The tokens of a part should be under way at once: 128 of them in 8 warps at a time.
    private static readonly (int Warps, int Stages)[] s_clusterChoices = [(8, 3), (8, 2), (4, 3), (4, 2)];

    /// <summary>What the variable wants; null: nothing.</summary>
    public static DecodeJoin? Wanted { get; } = Environment.GetEnvironmentVariable(Variable) switch
    {
        null or "" => null,
        "memory" => DecodeJoin.Memory,
        "cluster" => DecodeJoin.Cluster,
        var other => throw new ArgumentException($"{Variable} is \"{other}\", but memory and cluster are known."),
    };

    /// <summary>Whether the kernel can rotate heads of this size: both halves are whole tensor-core steps.</summary>
    public static bool CanRotate(int headDim) => headDim % 32 == 0;

    /// <summary>The shapes that a device can run for a head size: memory, and cluster where there are clusters.</summary>
    public static IEnumerable<DecodeShape> All(int headDim, int capability, int sharedMemoryBytes)
    {
        yield return For(DecodeJoin.Memory, headDim, sharedMemoryBytes);
        yield return For(DecodeJoin.Memory, headDim, sharedMemoryBytes) with { Blocks = 2 };
        if (capability >= Hopper)
        {
            yield return For(DecodeJoin.Cluster, headDim, sharedMemoryBytes);
        }
    }

    /// <summary>The largest that fits the shared memory of a block.</summary>
    public static DecodeShape For(DecodeJoin join, int headDim, int sharedMemoryBytes)
    {
        foreach (var (warps, stages) in join == DecodeJoin.Cluster ? s_clusterChoices : s_choices)
        {
            var choice = new DecodeShape(join, warps, stages);
            if (choice.SharedBytes(headDim, stages) <= sharedMemoryBytes)
            {
                return choice;
            }
        }

        throw new ArgumentException($"Heads of {headDim} do not fit {sharedMemoryBytes:N0} bytes of shared memory.");
    }

    /// <summary>
    /// Blocks of a cluster for each context; 0: memory is the better join, or the only one. As many as run at once with a multiprocessor
    /// each, for contexts that they hold in short parts: 8 KV heads, one sequence of 1,024 tokens, 132 multiprocessors: 8, of 128
    /// tokens; 2 sequences: 4, of 256; 4 sequences: memory; 8: pairs, while those hold the context.
    /// </summary>
    /// <param name="capability">Compute capability, 90 for 9.0.</param>
    /// <param name="multiprocessors">Of the device.</param>
    /// <param name="contexts">KV heads and sequences, multiplied.</param>
    /// <param name="maxContext">The longest.</param>
    /// <param name="wanted">A join to take wherever it can be had.</param>
    public static int ClusterBlocks(int capability, int multiprocessors, long contexts, int maxContext, DecodeJoin? wanted)
    {
        if (capability < Hopper || wanted == DecodeJoin.Memory)
        {
            return 0;
        }

        // A cluster lies within one part of the GPU (16 or 18 multiprocessors) with a block a multiprocessor, so clusters of four and
        // eight never fill all of them: 16 clusters of eight took 9.2 us where memory takes 6.9, 32 of four 12.0 where it takes 8.9. Pairs
        // do, and pay once they fill the GPU: 64 of them took 13.5 us, memory 16.3; for fewer, memory has more and smaller parts.
        var room = multiprocessors * 3 / 4;
        var blocks = MaxCluster;
        while (blocks > 2 && blocks * contexts > room)
        {
            blocks /= 2;
        }

        var fits = blocks == 2 ? 2 * contexts > room && 2 * contexts <= multiprocessors : blocks * contexts <= room;
        var suits = fits && maxContext <= blocks * ClusterTokens;
        return suits || wanted == DecodeJoin.Cluster ? blocks : 0;
    }

    /// <summary>Tiles that a warp's ring has room for when a context of <paramref name="maxContext"/> has so many parts.</summary>
    public int Held(int maxContext, int parts)
    {
        var each = (Math.Max(maxContext, 1) + parts - 1) / parts;
        return Math.Min((each + (Warps * Tokens) - 1) / (Warps * Tokens), Stages);
    }

    /// <summary>
    /// Dynamic shared memory: the rings, in which the warps join afterwards, cosines and sines for each warp, and what the blocks of a
    /// cluster send each other; or the weights of all parts.
    /// </summary>
    public int SharedBytes(int headDim, int held)
    {
        var padded = (headDim + 15) / 16 * 16;
        var rings = Warps * held * 2 * Tokens * (padded + 8) * 2;
        var angles = Warps * headDim * sizeof(float);
        var shares = Join == DecodeJoin.Cluster ? ((16 * headDim / 2) + MaxCluster + (16 * MaxCluster)) * 2 * sizeof(float) : 0;
        return Math.Max(rings + angles + shares, 16 * MaxSplits * sizeof(float));
    }
}
