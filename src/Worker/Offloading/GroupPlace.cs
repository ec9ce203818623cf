using TensorParallel.Worker.Devices;
using TensorParallel.Worker.Modules;
using TensorParallel.Worker.Quantization;

namespace TensorParallel.Worker.Offloading;

/// <summary>A module whose weights come to a slot with those of its group.</summary>
/// <param name="group">The group.</param>
/// <param name="stream">Brings it.</param>
/// <param name="isLast">Whether it is the group's last module: then the slot is free behind it.</param>
internal sealed class GroupPlace(WeightGroup group, WeightStream stream, bool isLast) : IWeightPlace
{
    /// <summary>The group.</summary>
    public WeightGroup Group => group;

    public DeviceBuffer Allocate(long bytes) => group.Allocate(bytes);

    public WeightTarget? ToLoad(WeightTarget target) => group.ToLoad(target);

    public void Enter() => stream.Enter(group);

    public void Leave()
    {
        if (isLast)
        {
            stream.Leave(group);
        }
    }
}
