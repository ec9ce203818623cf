using TensorParallel.Protocol.Architectures;
using TensorParallel.Worker.Devices;
using TensorParallel.Worker.Ops;

namespace TensorParallel.Worker.Quantization;

/// <summary>
/// The weight of a linear layer as it lies on the device, in whatever format. Owns the buffer it was given. Used by the one
/// thread that issues operations.
/// </summary>
internal interface ILinearWeight : IDisposable
{
    /// <summary>Columns of the input this rank multiplies.</summary>
    int InFeatures { get; }

    /// <summary>Columns of the output this rank computes.</summary>
    int OutFeatures { get; }

    /// <summary>
    /// output = x Wᵀ (+ bias). x: activation [T, InFeatures]; bias: [1, OutFeatures]; output: [T, OutFeatures].
    /// </summary>
    void Apply(IDeviceOps ops, Tensor x, Tensor? bias, Tensor output);

    /// <summary>
    /// For a weight [gate | up]: output = act(gate) ⊙ up of x Wᵀ (+ bias). fused: activation [T, OutFeatures], room for the product,
    /// undefined afterwards; output: [T, OutFeatures / 2].
    /// </summary>
    void ApplyGated(IDeviceOps ops, Tensor x, Tensor? bias, ActivationKind activation, Tensor fused, Tensor output)
    {
        Apply(ops, x, bias, fused);
        ops.GatedActivation(
            fused.ColumnsAt(0, output.Columns), fused.ColumnsAt(output.Columns, output.Columns), activation, output);
    }
}
