namespace TensorParallel.Protocol.Parallel;

/// <summary>
/// What of a rank's weights is not on its device, and the device memory it comes through. Where the embedding is among the modules its
/// rows are looked up where they lie: it takes no slot, unless the tied head needs it as a matrix.
/// </summary>
/// <param name="Kind">In what portions weights come.</param>
/// <param name="BlocksPerGroup">Blocks that come together; 1 but for <see cref="OffloadKind.Group"/>.</param>
/// <param name="Slots">Groups that have room on the device at a time, at least 1; 2 and more: one is computed while others come.</param>
/// <param name="SlotBytes">Device memory of one slot: the largest group of <see cref="OffloadGroups"/>; 0 where nothing needs a slot.</param>
/// <param name="Modules">What is off the device, in the order of use: embedding, blocks, head.</param>
public sealed record OffloadPlan(
    OffloadKind Kind, int BlocksPerGroup, int Slots, long SlotBytes, IReadOnlyList<OffloadedModule> Modules)
{
    /// <summary>Device memory of all slots.</summary>
    public long StagingBytes => checked(Slots * SlotBytes);

    /// <summary>Host memory that weights take for good; buffers that disk weights come through are not counted.</summary>
    public long HostBytes => Modules.Where(module => module.Residency == Residency.Host).Sum(module => module.Bytes);

    /// <summary>Weights that are read from files for every use.</summary>
    public long DiskBytes => Modules.Where(module => module.Residency == Residency.Disk).Sum(module => module.Bytes);

    /// <summary>Where a module lies; <see cref="Residency.Device"/> where it is not among <see cref="Modules"/>.</summary>
    public Residency ResidencyOf(string module) =>
        Modules.FirstOrDefault(entry => entry.Name == module)?.Residency ?? Residency.Device;
}
