using TensorParallel.Worker.Devices;
using TensorParallel.Worker.Quantization;

namespace TensorParallel.Worker.Modules;

/// <summary>Weights that are on the device for good.</summary>
internal sealed class ResidentPlace(IDevice device) : IWeightPlace
{
    public DeviceBuffer Allocate(long bytes) => device.Allocate(Math.Max(1, bytes), MemoryPurpose.Weights);

    public WeightTarget ToLoad(WeightTarget target) => target;

    public void Enter(int rows)
    {
    }

    public void Leave()
    {
    }
}
