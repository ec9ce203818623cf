namespace TensorParallel.Coordinator.Workers;

/// <summary>What it took to evict a group or to bring it back, all ranks together.</summary>
/// <param name="DeviceBytes">Device memory given back, or taken again.</param>
/// <param name="CopiedBytes">Of it, what was copied between devices and host.</param>
/// <param name="PinnedBytes">Host memory that the workers have pinned afterwards.</param>
/// <param name="Elapsed">From the command until the last rank's answer.</param>
internal sealed record MoveSummary(long DeviceBytes, long CopiedBytes, long PinnedBytes, TimeSpan Elapsed);
