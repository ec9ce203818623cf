using TensorParallel.Worker.Devices;
using TensorParallel.Worker.Ops;

namespace TensorParallel.Worker.Quantization;

/// <summary>
/// The weight of a linear layer as it lies on the device, in whatever format. Owns its device memory. Used by the one
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
}
