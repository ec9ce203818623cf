using TensorParallel.Protocol.Parallel;

namespace TensorParallel.Coordinator.Planning;

/// <summary>A device to plan for; each becomes one rank, in the order given.</summary>
/// <param name="Name">Kind and number: <c>cpu:0</c>, <c>cuda:1</c>.</param>
/// <param name="MemoryBytes">
/// What this rank may use of its memory: what is free; null: not known, so nothing is checked against it.
/// </param>
/// <param name="TotalBytes">All its memory, for messages; null: not known apart from what is free.</param>
internal sealed record PlanDevice(string Name, long? MemoryBytes = null, long? TotalBytes = null)
{
    /// <summary><c>cpu</c> or <c>cuda</c>; collectives join devices of one kind.</summary>
    public string Kind => DeviceKinds.Of(Name);

    /// <summary>CPU workers 0 … count − 1, memory not known.</summary>
    public static IReadOnlyList<PlanDevice> Cpus(int count) =>
        [.. Enumerable.Range(0, count).Select(i => new PlanDevice($"{DeviceKinds.Cpu}:{i}"))];
}
