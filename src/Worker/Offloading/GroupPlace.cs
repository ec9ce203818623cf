using TensorParallel.Worker.Devices;
using TensorParallel.Worker.Modules;
using TensorParallel.Worker.Quantization;

namespace TensorParallel.Worker.Offloading;

/// <summary>A module whose weights come to a slot with those of its group.</summary>
/// <param name="group">The group.</param>
/// <param name="stream">Brings it.</param>
/// <param name="device">Gives memory to vectors that are read on the device though the products are made by the host.</param>
/// <param name="host">Makes products of the group on the host, in some steps; null: in none.</param>
/// <param name="isLast">Whether it is the group's last module: then the slot is free behind it.</param>
internal sealed class GroupPlace(WeightGroup group, WeightStream stream, IDevice device, HostProducts? host, bool isLast) : IWeightPlace
{
    /// <summary>The group.</summary>
    public WeightGroup Group => group;

    public DeviceBuffer Allocate(long bytes) => group.Allocate(bytes);

    public DeviceBuffer AllocateVector(long bytes) =>
        host is null ? group.Allocate(bytes) : device.Allocate(Math.Max(1, bytes), MemoryPurpose.Weights);

    public ILinearWeight Use(ILinearWeight weight, IReadOnlyList<WeightTarget> parts)
    {
        if (host is null || group.Home is null || weight is not DenseWeight)
        {
            return weight;
        }

        var first = parts[0].Destination;
        var hosted = new HostedWeight(group, weight, first with { Rows = weight.OutFeatures }, host);
        group.Hosted.Add(hosted);
        return hosted;
    }

    public WeightTarget? ToLoad(WeightTarget target) => group.ToLoad(target);

    public void Enter(int rows) => stream.Enter(group, rows);

    public void Leave()
    {
        if (isLast)
        {
            stream.Leave(group);
        }
    }
}
