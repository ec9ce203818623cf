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
    // Where it is not known what a process and its libraries take beside the tensors; the rule of accelerate.
    private const double UsablePart = 0.9;

    // Where it is known, a fiftieth is left alone: fragments, and what others begin to use meanwhile.
    private const int FreePart = 50;

    /// <summary>
    /// <see cref="MemoryBytes"/> is what the user allows (<c>--max-memory</c>), all of it for tensors; else it is
    /// what the device has, of which a part is left alone (<see cref="UsableBeside"/>).
    /// </summary>
    public bool IsExactBudget { get; init; }

    /// <summary>What was free on it when it was looked for, whatever the budget; null: it does not tell.</summary>
    public long? FreeBytes { get; init; }

    /// <summary>
    /// How fast it reads its memory, in any unit that is the same for all devices; 1 where it is not known.
    /// </summary>
    public double Speed { get; init; } = 1;

    /// <summary>Bytes for weights, cache and workspace; null: not known.</summary>
    public long? UsableBytes => IsExactBudget ? MemoryBytes : (long?)(MemoryBytes * UsablePart);

    /// <summary>Bytes that several workers may take of it together, what driver and libraries take included; null: not known.</summary>
    public long? SharedBytes => IsExactBudget || MemoryBytes is not { } memory ? MemoryBytes : memory - (memory / FreePart);

    /// <summary>
    /// Bytes for weights, cache and workspace where it is known what a worker takes besides, which is then left alone instead of the
    /// tenth; null: not known. A budget that the user gave is for tensors alone.
    /// </summary>
    /// <param name="runtimeBytes">Of driver, libraries and scratch; 0: not known apart from the rest.</param>
    public long? UsableBeside(long runtimeBytes) => IsExactBudget || runtimeBytes == 0 || MemoryBytes is not { } memory
        ? UsableBytes
        : Math.Max(0, memory - (memory / FreePart) - runtimeBytes);

    /// <summary>Its word in a device map: 1 of <c>cuda:1</c>.</summary>
    public string Number => DeviceKinds.NumberOf(Name);

    /// <summary><c>cpu</c> or <c>cuda</c>; collectives join devices of one kind.</summary>
    public string Kind => DeviceKinds.Of(Name);

    /// <summary>CPU workers 0 … count − 1, memory not known.</summary>
    public static IReadOnlyList<PlanDevice> Cpus(int count) =>
        [.. Enumerable.Range(0, count).Select(i => new PlanDevice($"{DeviceKinds.Cpu}:{i}"))];
}
