using TensorParallel.Protocol.Checkpoints;

namespace TensorParallel.Worker.Ops.Cpu;

/// <summary>One matrix product as the kernels see it; everything is checked before it is made.</summary>
internal readonly unsafe struct MatMulJob
{
    /// <summary>
    /// Columns that are summed in registers before the sum is added to the output. A block of six tokens is 24 KiB and
    /// one of four bfloat16 rows 8 KiB: both stay in a first cache of 48 KiB, and adding up a tile's registers costs 4
    /// % of it.
    /// </summary>
    public const int BlockColumns = 1024;

    /// <summary>Tokens in the order of <see cref="Kernels.TokenPacking{TV}"/>.</summary>
    public required float* Packed { get; init; }

    /// <summary>T.</summary>
    public required int Tokens { get; init; }

    /// <summary>K.</summary>
    public required int Columns { get; init; }

    /// <summary>Weight element [0, 0].</summary>
    public required byte* Weight { get; init; }

    /// <summary>Bytes from one weight row to the next.</summary>
    public required long WeightStride { get; init; }

    /// <summary>Dtype of the weight.</summary>
    public required DType WeightDType { get; init; }

    /// <summary>N floats, or null.</summary>
    public required float* Bias { get; init; }

    /// <summary>Output element [0, 0].</summary>
    public required float* Output { get; init; }

    /// <summary>Floats from one output row to the next.</summary>
    public required long OutputStride { get; init; }
}
