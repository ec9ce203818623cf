namespace TensorParallel.Protocol.Parallel;

/// <summary>Weights that come to the device together.</summary>
/// <param name="Modules">Names of consecutive blocks, or of the output head alone.</param>
/// <param name="Residency">Where all of them lie: host or disk.</param>
/// <param name="Bytes">Room in a slot: every tensor at a multiple of <see cref="OffloadGroups.Alignment"/>.</param>
public sealed record OffloadGroup(IReadOnlyList<string> Modules, Residency Residency, long Bytes);
