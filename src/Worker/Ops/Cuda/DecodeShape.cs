namespace TensorParallel.Worker.Ops.Cuda;

/// <summary>How attention_decode.cu is compiled for a head size and a device.</summary>
/// <param name="Warps">Warps of a block.</param>
/// <param name="Stages">Key/value tiles of 16 tokens in each warp's ring.</param>
internal readonly record struct DecodeShape(int Warps, int Stages)
{
    /// <summary>Tokens of a tile; <c>TOKENS</c> in the kernel.</summary>
    public const int Tokens = 16;

    /// <summary>Most parts of one context; <c>MAX_SPLITS</c> in the kernel.</summary>
    public const int MaxSplits = 128;

    private static readonly DecodeShape[] s_choices = [new(4, 3), new(4, 2), new(2, 2)];

    /// <summary>Whether the kernel can rotate heads of this size: both halves are whole tensor-core steps.</summary>
    public static bool CanRotate(int headDim) => headDim % 32 == 0;

    /// <summary>The largest that fits the shared memory of a block.</summary>
    public static DecodeShape For(int headDim, int sharedMemoryBytes)
    {
        foreach (var choice in s_choices)
        {
            if (choice.SharedBytes(headDim) <= sharedMemoryBytes)
            {
                return choice;
            }
        }

        throw new ArgumentException($"Heads of {headDim} do not fit {sharedMemoryBytes:N0} bytes of shared memory.");
    }

    /// <summary>Dynamic shared memory: the rings, or what the warps join in afterwards, whichever is more.</summary>
    public int SharedBytes(int headDim)
    {
        var padded = (headDim + 15) / 16 * 16;
        var rings = Warps * Stages * 2 * Tokens * (padded + 8) * 2;
        var joint = Warps * 16 * (padded + 2) * sizeof(float);
        return Math.Max(Math.Max(rings, joint), 16 * MaxSplits * sizeof(float));
    }
}
