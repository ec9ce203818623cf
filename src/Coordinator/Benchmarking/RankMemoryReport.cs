namespace TensorParallel.Coordinator.Benchmarking;

/// <summary>Device memory of one rank once it is loaded.</summary>
/// <param name="Rank">The rank.</param>
/// <param name="Device">Its device.</param>
/// <param name="Bytes">Bytes by purpose.</param>
internal sealed record RankMemoryReport(int Rank, string Device, IReadOnlyDictionary<string, long> Bytes);
