namespace TensorParallel.Coordinator.Workers;

/// <summary>What one rank reported when it was ready.</summary>
/// <param name="Rank">The rank.</param>
/// <param name="Device">Its device.</param>
/// <param name="BytesRead">Weight bytes read from the checkpoint.</param>
/// <param name="Elapsed">Time from the load command until the rank was ready.</param>
/// <param name="Parts">What its start was spent on, in the order in which the parts began.</param>
/// <param name="Memory">Device memory, one entry a purpose.</param>
/// <param name="PeakResidentBytes">Most memory its process has had resident.</param>
internal sealed record RankLoadSummary(
    int Rank,
    string Device,
    long BytesRead,
    TimeSpan Elapsed,
    IReadOnlyList<StartPartSummary> Parts,
    IReadOnlyList<RankMemory> Memory,
    long PeakResidentBytes);
