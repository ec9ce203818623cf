using TensorParallel.Protocol.Architectures;
using TensorParallel.Worker.Devices;
using TensorParallel.Worker.Ops;

namespace TensorParallel.Worker.Quantization;

/// <summary>A weight as a plain row-major matrix.</summary>
/// <param name="matrix">[OutFeatures, InFeatures].</param>
/// <param name="ownsBuffer">False where someone else owns the memory: a head that is tied to the embedding.</param>
internal sealed class DenseWeight(Tensor matrix, bool ownsBuffer) : ILinearWeight
{
    public int InFeatures => matrix.Columns;

    public int OutFeatures => matrix.Rows;

    public void Apply(IDeviceOps ops, Tensor x, Tensor? bias, Tensor output) => ops.MatMul(x, matrix, bias, output);

    public void ApplyGated(
        IDeviceOps ops, Tensor x, Tensor? bias, ActivationKind activation, Tensor fused, Tensor output) =>
        ops.MatMulGated(x, matrix, bias, activation, fused, output);

    public void Dispose()
    {
        if (ownsBuffer)
        {
            matrix.Buffer.Dispose();
        }
    }
}
