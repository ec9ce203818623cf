using TensorParallel.Protocol.Parallel;
using TensorParallel.Worker.Devices;
using TensorParallel.Worker.Quantization;

namespace TensorParallel.Worker.Offloading;

/// <summary>
/// Weights that come to the device together. Operations find them in a slot; where they lie in host memory their home has the very same
/// layout, so that one copy brings them all. Owns its home.
/// </summary>
internal sealed class WeightGroup : IDisposable
{
    private readonly OffloadGroup _planned;
    private readonly List<WeightTarget> _fromFiles = [];
    private DeviceBuffer? _slot;

    /// <summary>Allocates the home.</summary>
    /// <param name="planned">What the plan says of it.</param>
    /// <param name="device">Gives the home.</param>
    public WeightGroup(OffloadGroup planned, IDevice device)
    {
        _planned = planned;
        Home = planned.Residency == Residency.Host ? device.AllocateHost(Math.Max(1, planned.Bytes)) : null;
    }

    /// <summary>Names of its modules, for messages.</summary>
    public string Name => _planned.Modules.Count == 1
        ? $"\"{_planned.Modules[0]}\""
        : $"\"{_planned.Modules[0]}\" to \"{_planned.Modules[^1]}\"";

    /// <summary>Number of its slot.</summary>
    public int SlotNumber { get; private set; }

    /// <summary>Bytes of a slot that the plan counts for it.</summary>
    public long PlannedBytes => _planned.Bytes;

    /// <summary>Host memory that it lies in; null: it is read from files for each use.</summary>
    public DeviceBuffer? Home { get; }

    /// <summary>What is read from files for each use; empty where there is a home.</summary>
    public IReadOnlyList<WeightTarget> FromFiles => _fromFiles;

    /// <summary>Bytes of it, from the beginning of the slot.</summary>
    public long UsedBytes { get; private set; }

    /// <summary>Gives it a slot, which other groups use at other times; before anything is allocated.</summary>
    /// <exception cref="PlanException">It does not fit.</exception>
    public void Assign(int number, DeviceBuffer slot)
    {
        (SlotNumber, _slot) = (number, slot);
        if (_planned.Bytes > slot.Bytes)
        {
            throw new PlanException(
                $"The plan's slots of {slot.Bytes:N0} bytes are too small for {Name}, which takes {_planned.Bytes:N0}: make the plan anew " +
                "with this version.");
        }
    }

    /// <summary>The next part of the slot.</summary>
    /// <exception cref="PlanException">The plan counts less for the group than its modules need.</exception>
    public DeviceBuffer Allocate(long bytes)
    {
        var offset = UsedBytes;
        UsedBytes = OffloadGroups.Align(offset + bytes);
        return UsedBytes <= _planned.Bytes
            ? Slot.Slice(offset, bytes)
            : throw new PlanException(
                $"{Name} needs more than the {_planned.Bytes:N0} bytes of a slot that the plan counts: make the plan anew with this " +
                "version.");
    }

    /// <summary>Its weights that the host can multiply with; empty where it never does.</summary>
    public List<HostedWeight> Hosted { get; } = [];

    /// <summary>Whether the host makes the group's products in the step that is being issued.</summary>
    public bool IsOnHost { get; set; }

    /// <summary>As <see cref="Modules.IWeightPlace.ToLoad"/>.</summary>
    public WeightTarget? ToLoad(WeightTarget target)
    {
        if (target.Destination.Buffer.Purpose == MemoryPurpose.Weights)
        {
            return target; // a vector that is on the device for good
        }

        if (AtHome(target.Destination) is { } home)
        {
            return target with { Destination = home, Slot = target.Destination };
        }

        _fromFiles.Add(target);
        return null;
    }

    /// <summary>The place in the home of a tensor of the slot; null without home.</summary>
    public Tensor? AtHome(Tensor tensor) => Home is { } home
        ? tensor with { Buffer = home.Slice(tensor.Buffer.Address - Slot.Address, tensor.Buffer.Bytes) }
        : null;

    private DeviceBuffer Slot => _slot ?? throw new InvalidOperationException($"{Name} has no slot.");

    public void Dispose() => Home?.Dispose();
}
