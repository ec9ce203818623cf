using TensorParallel.Worker.Devices;

namespace TensorParallel.Worker.Ops;

/// <summary>An opened device with what computes on it. Owns all three; disposing it frees them, the device last.</summary>
/// <param name="Device">The device.</param>
/// <param name="Ops">The model's operations on it.</param>
/// <param name="Sampling">Sampling on it.</param>
internal sealed record DeviceBackend(IDevice Device, IDeviceOps Ops, ISamplingOps Sampling) : IDisposable
{
    /// <summary>Measuring on it; owns nothing.</summary>
    public required IMeasuringOps Measuring { get; init; }
    /// <summary>What makes it slower than it could be, a sentence; null: nothing.</summary>
    public string? Warning { get; init; }

    public void Dispose() => Disposal.Of(Sampling as IDisposable, Ops, Device);
}
