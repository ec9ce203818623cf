using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Worker.Devices;

namespace TensorParallel.Worker.Ops.Cpu;

internal sealed unsafe partial class CpuOps
{
    public void RmsNorm(Tensor x, Tensor weight, float epsilon, Tensor output)
    {
        Operand.Check(_device, x, DType.F32, x.Rows, x.Columns);
        Operand.CheckFloat(_device, weight, 1, x.Columns);
        Operand.Check(_device, output, DType.F32, x.Rows, x.Columns);
        RunRows(x.Rows, x.Columns, new NormWork(_kernels, x, null, weight, epsilon, output));
    }

    public void AddRmsNorm(Tensor residual, Tensor delta, Tensor weight, float epsilon, Tensor output)
    {
        Operand.Check(_device, residual, DType.F32, residual.Rows, residual.Columns);
        Operand.Check(_device, delta, DType.F32, residual.Rows, residual.Columns);
        Operand.CheckFloat(_device, weight, 1, residual.Columns);
        Operand.Check(_device, output, DType.F32, residual.Rows, residual.Columns);
        RunRows(residual.Rows, residual.Columns, new NormWork(_kernels, residual, delta, weight, epsilon, output));
    }

    private readonly struct NormWork(
        CpuKernels kernels, Tensor x, Tensor? delta, Tensor weight, float epsilon, Tensor output) : ICpuWork
    {
        public void Run(int part, int thread) => kernels.RmsNorm(
            Row(x, part),
            delta is { } added ? Row(added, part) : null,
            RowBytes(weight, 0),
            weight.DType,
            epsilon,
            Row(output, part),
            x.Columns);
    }
}
