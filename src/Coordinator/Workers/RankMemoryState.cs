namespace TensorParallel.Coordinator.Workers;

/// <summary>Memory of one rank at one moment; bytes.</summary>
/// <param name="Rank">The rank.</param>
/// <param name="Device">Its device.</param>
/// <param name="Uses">What the rank has allocated on its device, one entry a purpose.</param>
/// <param name="DeviceTotal">All memory of the device.</param>
/// <param name="DeviceFree">What nobody uses of it, other processes counted.</param>
/// <param name="Pinned">Host memory of the worker process that cannot be paged out.</param>
/// <param name="Resident">Resident set of the worker process.</param>
/// <param name="PeakResident">Most that was resident.</param>
/// <param name="IsEvicted">Weights and KV cache are off the device.</param>
internal sealed record RankMemoryState(
    int Rank,
    string Device,
    IReadOnlyList<RankMemory> Uses,
    long DeviceTotal,
    long DeviceFree,
    long Pinned,
    long Resident,
    long PeakResident,
    bool IsEvicted);
