using TensorParallel.Coordinator.Planning;

namespace TensorParallel.Coordinator.Hosting;

/// <summary>The devices of a run.</summary>
/// <param name="Devices">One rank each, in this order.</param>
/// <param name="Notices">What the user should know of the choice: why GPUs that are there are not used. Sentences.</param>
internal sealed record DeviceChoice(IReadOnlyList<PlanDevice> Devices, IReadOnlyList<string> Notices)
{
    /// <summary>A choice that needs no words.</summary>
    public DeviceChoice(IReadOnlyList<PlanDevice> devices)
        : this(devices, [])
    {
    }
}
