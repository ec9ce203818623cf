using TensorParallel.Protocol.Architectures;
using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Worker.Ops.Cpu.Kernels;

namespace TensorParallel.Worker.Ops.Cpu;

/// <summary>The kernels compiled for one register type; chooses by dtype.</summary>
internal sealed unsafe class CpuKernels<TV> : CpuKernels
    where TV : struct, ILanes<TV>
{
    public override int PaddedColumns(int columns) => TokenPacking<TV>.PaddedColumns(columns);

    public override int GroupRows(int remaining) => TokenPacking<TV>.GroupRows(remaining);

    public override int PaddedDim(int headDim) => AttentionJoin<TV>.PaddedDim(headDim);

    public override void Pack(float* source, long stride, int rows, int columns, float* target, int groupRows) =>
        TokenPacking<TV>.Pack(source, stride, rows, columns, target, groupRows);

    public override void MatMul(in MatMulJob job, int firstRow, int endRow)
    {
        switch (job.WeightDType)
        {
            case DType.F32:
                MatMulKernel<TV, F32Element>.Run(job, firstRow, endRow);
                break;
            case DType.BF16:
                MatMulKernel<TV, BF16Element>.Run(job, firstRow, endRow);
                break;
            case DType.F16:
                MatMulKernel<TV, F16Element>.Run(job, firstRow, endRow);
                break;
            default:
                throw NotFloat(job.WeightDType);
        }
    }

    public override void Widen(byte* source, DType dtype, float* target, int count)
    {
        switch (dtype)
        {
            case DType.F32:
                WeightRowKernels<TV, F32Element>.Widen(source, target, count);
                break;
            case DType.BF16:
                WeightRowKernels<TV, BF16Element>.Widen(source, target, count);
                break;
            case DType.F16:
                WeightRowKernels<TV, F16Element>.Widen(source, target, count);
                break;
            default:
                throw NotFloat(dtype);
        }
    }

    public override void RmsNorm(
        float* x, float* delta, byte* weight, DType dtype, float epsilon, float* output, int count)
    {
        switch (dtype)
        {
            case DType.F32:
                WeightRowKernels<TV, F32Element>.RmsNorm(x, delta, weight, epsilon, output, count);
                break;
            case DType.BF16:
                WeightRowKernels<TV, BF16Element>.RmsNorm(x, delta, weight, epsilon, output, count);
                break;
            case DType.F16:
                WeightRowKernels<TV, F16Element>.RmsNorm(x, delta, weight, epsilon, output, count);
                break;
            default:
                throw NotFloat(dtype);
        }
    }

    public override void Add(float* target, float* source, int count) =>
        ActivationRowKernels<TV>.Add(target, source, count);

    public override void GatedActivation(ActivationKind kind, float* gate, float* up, float* output, int count) =>
        ActivationRowKernels<TV>.GatedActivation(kind, gate, up, output, count);

    public override void Rotate(float* x, float* cos, float* sin, int half) =>
        ActivationRowKernels<TV>.Rotate(x, cos, sin, half);

    public override void AttendBlock(in AttentionJob job, AttentionItem item, float* memory)
    {
        switch (job.CacheDType)
        {
            case DType.F32:
                AttentionKernel<TV, F32Element>.Block(job, item, memory);
                break;
            case DType.BF16:
                AttentionKernel<TV, BF16Element>.Block(job, item, memory);
                break;
            case DType.F16:
                AttentionKernel<TV, F16Element>.Block(job, item, memory);
                break;
            default:
                throw NotFloat(job.CacheDType);
        }
    }

    public override void AttendPart(in AttentionJob job, AttentionItem item, int chunk, float* memory, float* partial)
    {
        switch (job.CacheDType)
        {
            case DType.F32:
                AttentionKernel<TV, F32Element>.Part(job, item, chunk, memory, partial);
                break;
            case DType.BF16:
                AttentionKernel<TV, BF16Element>.Part(job, item, chunk, memory, partial);
                break;
            case DType.F16:
                AttentionKernel<TV, F16Element>.Part(job, item, chunk, memory, partial);
                break;
            default:
                throw NotFloat(job.CacheDType);
        }
    }

    public override void JoinParts(
        in AttentionJob job, AttentionItem item, float* parts, int count, long stride, float* memory) =>
        AttentionJoin<TV>.Parts(job, item, parts, count, stride, memory);

    private static InvalidOperationException NotFloat(DType dtype) =>
        new($"{dtype} reached a kernel for float dtypes.");
}
