namespace TensorParallel.Coordinator.Planning.Offloading;

/// <summary>What of a stage is off its device, before it is said where.</summary>
/// <param name="Embedding">The embedding is.</param>
/// <param name="Chunks">Blocks that are, as runs that come together: [start, end) within the stage.</param>
/// <param name="Head">The head is.</param>
/// <param name="Slots">Slots.</param>
/// <param name="SlotBytes">Bytes of a slot.</param>
/// <param name="ResidentBytes">Weights that stay.</param>
/// <param name="MovedBytes">Weights that come to the device in every step.</param>
internal sealed record SpillChoice(
    bool Embedding, IReadOnlyList<Range> Chunks, bool Head, int Slots, long SlotBytes, long ResidentBytes, long MovedBytes)
{
    /// <summary>Device memory of weights and slots.</summary>
    public long DeviceBytes => checked(ResidentBytes + (Slots * SlotBytes));

    /// <summary>Whether everything stays.</summary>
    public bool IsNone => !Embedding && !Head && Chunks.Count == 0;
}
