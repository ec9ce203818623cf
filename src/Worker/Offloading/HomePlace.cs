using TensorParallel.Worker.Devices;
using TensorParallel.Worker.Modules;
using TensorParallel.Worker.Quantization;

namespace TensorParallel.Worker.Offloading;

/// <summary>Weights in host memory that operations read where they lie: nothing comes to the device.</summary>
internal sealed class HomePlace(IDevice device) : IWeightPlace
{
    public DeviceBuffer Allocate(long bytes) => device.AllocateHost(Math.Max(1, bytes));

    public WeightTarget ToLoad(WeightTarget target) => target;

    public void Enter(int rows)
    {
    }

    public void Leave()
    {
    }
}
