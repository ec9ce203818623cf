namespace TensorParallel.Coordinator.Planning.Offloading;

/// <summary>What of a stage is off its device, before it is said where.</summary>
/// <param name="Embedding">The embedding is.</param>
/// <param name="Chunks">Blocks that are, as runs that come together: [start, end) within the stage.</param>
/// <param name="Head">The head is.</param>
/// <param name="Slots">Slots.</param>
/// <param name="SlotBytes">Bytes of a slot.</param>
/// <param name="ResidentBytes">Weights that stay.</param>
/// <param name="OffBytes">Weights that do not.</param>
/// <param name="MovedBytes">Of these, what comes to the device in every step: an embedding's rows are looked up where they lie.</param>
internal sealed record SpillChoice(
    bool Embedding,
    IReadOnlyList<Range> Chunks,
    bool Head,
    int Slots,
    long SlotBytes,
    long ResidentBytes,
    long OffBytes,
    long MovedBytes)
{
    /// <summary>Device memory that it saves; less than nothing where slots take more than has left.</summary>
    public long SavedBytes => checked(OffBytes - (Slots * SlotBytes));

    /// <summary>Device memory of weights and slots.</summary>
    public long DeviceBytes => checked(ResidentBytes + (Slots * SlotBytes));

    /// <summary>Whether everything stays.</summary>
    public bool IsNone => !Embedding && !Head && Chunks.Count == 0;
}
