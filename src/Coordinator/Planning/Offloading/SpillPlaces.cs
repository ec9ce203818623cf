using TensorParallel.Coordinator.Planning.DeviceMaps;
using TensorParallel.Protocol.Parallel;

namespace TensorParallel.Coordinator.Planning.Offloading;

/// <summary>Where weights may lie beside the devices, all ranks together.</summary>
/// <param name="HostBytes">Host memory for them; 0: none may be used.</param>
/// <param name="DiskBytes">Weights that may stay in files; 0: none.</param>
internal sealed record SpillPlaces(long HostBytes, long DiskBytes)
{
    /// <summary>Nothing may be spilled.</summary>
    public static SpillPlaces None { get; } = new(0, 0);

    /// <summary>Host memory, as much as it takes; what the machine has is checked when it is known.</summary>
    public static SpillPlaces Host { get; } = new(long.MaxValue, 0);

    /// <summary>Whether there is any.</summary>
    public bool Any => HostBytes > 0 || DiskBytes > 0;

    /// <summary>
    /// With <c>--max-memory</c> exactly the places that it names; else host memory, where offloading is asked for.
    /// </summary>
    public static SpillPlaces Of(PlanRequest request) =>
        request.MaxMemory is { } budgets ? Of(budgets) : request.Offload.Kind is not null ? Host : None;

    /// <summary>The places among budgets; one whose size is not said is boundless.</summary>
    public static SpillPlaces Of(IReadOnlyList<DeviceBudget> budgets)
    {
        return new SpillPlaces(BytesOf(DeviceBudget.Cpu), BytesOf(DeviceBudget.Disk));

        long BytesOf(string place) =>
            budgets.FirstOrDefault(budget => budget.Device == place) is { } budget ? budget.Bytes ?? long.MaxValue : 0;
    }

    /// <summary>For messages: <c>cpu 4.0 GiB, disk 10.0 GiB</c>.</summary>
    public override string ToString() => string.Join(", ", new[]
    {
        (Word: ResidencyNames.Cpu, Bytes: HostBytes), (Word: ResidencyNames.Disk, Bytes: DiskBytes),
    }.Where(place => place.Bytes > 0).Select(place =>
        place.Bytes == long.MaxValue ? place.Word : $"{place.Word} {ByteText.Of(place.Bytes)}"));
}
