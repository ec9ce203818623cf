using TensorParallel.Protocol.Architectures;
using TensorParallel.Worker.Devices;
using TensorParallel.Worker.Ops;
using TensorParallel.Worker.Quantization;

namespace TensorParallel.Worker.Offloading;

/// <summary>
/// A matrix that comes to the device in some steps and is multiplied by the host, where it lies, in others: its group knows.
/// </summary>
/// <param name="group">Its group.</param>
/// <param name="inner">The weight in its slot; owns what there is to own.</param>
/// <param name="home">The matrix in host memory, [OutFeatures, InFeatures].</param>
/// <param name="host">Multiplies.</param>
internal sealed class HostedWeight(WeightGroup group, ILinearWeight inner, Tensor home, HostProducts host) : ILinearWeight
{
    private readonly Tensor _home = host.View(home);
    private Tensor? _bias;

    public int InFeatures => inner.InFeatures;

    public int OutFeatures => inner.OutFeatures;

    /// <summary>The matrix as the host's operations see it.</summary>
    public Tensor Home => _home;

    public void Apply(IDeviceOps ops, Tensor x, Tensor? bias, Tensor output)
    {
        if (group.IsOnHost)
        {
            host.Multiply(x, _home, OnHost(bias), output);
        }
        else
        {
            inner.Apply(ops, x, bias, output);
        }
    }

    public void ApplyGated(IDeviceOps ops, Tensor x, Tensor? bias, ActivationKind activation, Tensor fused, Tensor output)
    {
        if (group.IsOnHost)
        {
            host.MultiplyGated(x, _home, OnHost(bias), activation, output);
        }
        else
        {
            inner.ApplyGated(ops, x, bias, activation, fused, output);
        }
    }

    public void Dispose() => inner.Dispose();

    // Biases are on the device for good; they do not change, so that one copy for the host will do.
    private Tensor? OnHost(Tensor? bias) => bias is { } given ? _bias ??= host.Fetch(given) : null;
}
