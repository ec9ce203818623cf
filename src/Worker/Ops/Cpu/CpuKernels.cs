using System.Runtime.Intrinsics;
using TensorParallel.Protocol.Architectures;
using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Worker.Ops.Cpu.Kernels;

namespace TensorParallel.Worker.Ops.Cpu;

/// <summary>
/// The kernels of one vector width. They check nothing, allocate nothing and know no threads; any number of threads may
/// call them at once.
/// </summary>
internal abstract unsafe class CpuKernels
{
    /// <summary>The widest that the hardware computes with.</summary>
    public static CpuVectorWidth WidestVectors =>
        Vector512.IsHardwareAccelerated ? CpuVectorWidth.Bits512
        : Vector256.IsHardwareAccelerated ? CpuVectorWidth.Bits256
        : CpuVectorWidth.Bits128;

    /// <summary>Kernels of a width; one that the hardware lacks is computed in software, slowly.</summary>
    public static CpuKernels Create(CpuVectorWidth width) => width switch
    {
        CpuVectorWidth.Bits512 => new CpuKernels<Lanes16>(),
        CpuVectorWidth.Bits256 => new CpuKernels<Lanes8>(),
        CpuVectorWidth.Bits128 => new CpuKernels<Lanes4>(),
        _ => throw new ArgumentOutOfRangeException(nameof(width), width, "Vectors have 128, 256 or 512 bits."),
    };

    /// <inheritdoc cref="TokenPacking{TV}.PaddedColumns"/>
    public abstract int PaddedColumns(int columns);

    /// <inheritdoc cref="TokenPacking{TV}.GroupRows"/>
    public abstract int GroupRows(int remaining);

    /// <inheritdoc cref="AttentionJoin{TV}.PaddedDim"/>
    public abstract int PaddedDim(int headDim);

    /// <inheritdoc cref="TokenPacking{TV}.Pack"/>
    public abstract void Pack(float* source, long stride, int rows, int columns, float* target, int groupRows);

    /// <inheritdoc cref="MatMulKernel{TV,TE}.Run"/>
    public abstract void MatMul(in MatMulJob job, int firstRow, int endRow);

    /// <summary>target = source as floats.</summary>
    public abstract void Widen(byte* source, DType dtype, float* target, int count);

    /// <inheritdoc cref="WeightRowKernels{TV,TE}.RmsNorm"/>
    public abstract void RmsNorm(
        float* x, float* delta, byte* weight, DType dtype, float epsilon, float* output, int count);

    /// <inheritdoc cref="ActivationRowKernels{TV}.Add"/>
    public abstract void Add(float* target, float* source, int count);

    /// <inheritdoc cref="ActivationRowKernels{TV}.GatedActivation"/>
    public abstract void GatedActivation(ActivationKind kind, float* gate, float* up, float* output, int count);

    /// <inheritdoc cref="ActivationRowKernels{TV}.Rotate"/>
    public abstract void Rotate(float* x, float* cos, float* sin, int half);

    /// <inheritdoc cref="AttentionKernel{TV,TE}.Block"/>
    public abstract void AttendBlock(in AttentionJob job, AttentionItem item, float* memory);

    /// <inheritdoc cref="AttentionKernel{TV,TE}.Part"/>
    public abstract void AttendPart(in AttentionJob job, AttentionItem item, int chunk, float* memory, float* partial);

    /// <inheritdoc cref="AttentionJoin{TV}.Parts"/>
    public abstract void JoinParts(
        in AttentionJob job, AttentionItem item, float* parts, int count, long stride, float* memory);
}
