using TensorParallel.Protocol.Checkpoints;

namespace TensorParallel.TestKit;

/// <summary>The shape of a random Llama checkpoint. Names and meaning are config.json's.</summary>
public sealed record TinyCheckpointOptions
{
    /// <summary>The shape of Llama 3.2 1B: 1.24 billion parameters, 2.5 GB in bf16. For benchmarks.</summary>
    public static TinyCheckpointOptions OneBillion { get; } = new()
    {
        Layers = 16,
        Hidden = 2048,
        Heads = 32,
        KvHeads = 8,
        HeadDim = 64,
        Intermediate = 8192,
        Vocab = 128_256,
        MaxPositions = 131_072,
        Tied = true,
        Rope = TinyRope.Llama3,
        RopeTheta = 500_000,
        OriginalMaxPositions = 8192,
        DType = DType.BF16,
        Shards = 2,
    };

    public int Layers { get; init; } = 2;

    public int Hidden { get; init; } = 64;

    public int Heads { get; init; } = 8;

    public int KvHeads { get; init; } = 4;

    /// <summary>Need not be Hidden / Heads.</summary>
    public int HeadDim { get; init; } = 16;

    public int Intermediate { get; init; } = 176;

    public int Vocab { get; init; } = 256;

    public int MaxPositions { get; init; } = 2048;

    /// <summary>Whether the output head is the embedding (no lm_head.weight in the files).</summary>
    public bool Tied { get; init; }

    /// <summary>Biases on q, k, v and o.</summary>
    public bool AttentionBias { get; init; }

    /// <summary>Biases on gate, up and down.</summary>
    public bool MlpBias { get; init; }

    /// <summary>F32, BF16 or F16.</summary>
    public DType DType { get; init; } = DType.F32;

    /// <summary>1 writes model.safetensors; more write an index too.</summary>
    public int Shards { get; init; } = 1;

    public TinyRope Rope { get; init; } = TinyRope.Default;

    public double RopeTheta { get; init; } = 10_000;

    /// <summary>For <see cref="TinyRope.Llama3"/>: so small that scaled frequencies matter in short tests.</summary>
    public int OriginalMaxPositions { get; init; } = 64;

    public double RmsNormEps { get; init; } = 1e-5;

    /// <summary>Writes torch_dtype, rope_theta and rope_scaling, as before transformers 5.</summary>
    public bool LegacyConfigKeys { get; init; }

    /// <summary>All weights are 0, as holes of the files: a checkpoint of any size takes neither time nor disk.</summary>
    public bool Zeros { get; init; }

    public int BosTokenId { get; init; }

    public int EosTokenId { get; init; } = 1;

    /// <summary>
    /// The weights depend on it and on the tensor's name only: not on shards, nor (but for rounding) on the dtype.
    /// </summary>
    public ulong Seed { get; init; } = 1;
}
