using TensorParallel.Protocol.Architectures;
using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Worker.Devices;

namespace TensorParallel.Worker.Ops.Cpu;

internal sealed unsafe partial class CpuOps
{
    // Columns of a part: one decode row of 8 192 is worth sharing, since an exponential costs ten adds.
    private const int ActivationColumns = 2048;

    public void GatedActivation(Tensor gate, Tensor up, ActivationKind activation, Tensor output)
    {
        Operand.Check(_device, gate, DType.F32, output.Rows, output.Columns);
        Operand.Check(_device, up, DType.F32, output.Rows, output.Columns);
        Operand.Check(_device, output, DType.F32, output.Rows, output.Columns);
        if (!Enum.IsDefined(activation))
        {
            throw new ArgumentException($"Activation {activation} is unknown.", nameof(activation));
        }

        var columnParts = (output.Columns + ActivationColumns - 1) / ActivationColumns;
        var work = new ActivationWork(_kernels, gate, up, activation, output, columnParts);
        _device.Threads.Run(output.Rows * columnParts, work);
    }

    private readonly struct ActivationWork(
        CpuKernels kernels, Tensor gate, Tensor up, ActivationKind kind, Tensor output, int columnParts) : ICpuWork
    {
        public void Run(int part, int thread)
        {
            var (row, column) = (part / columnParts, part % columnParts * ActivationColumns);
            var count = Math.Min(ActivationColumns, output.Columns - column);
            kernels.GatedActivation(
                kind, Row(gate, row) + column, Row(up, row) + column, Row(output, row) + column, count);
        }
    }
}
