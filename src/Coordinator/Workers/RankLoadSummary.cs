namespace TensorParallel.Coordinator.Workers;

/// <summary>What one rank reported when it was ready.</summary>
/// <param name="Rank">The rank.</param>
/// <param name="Device">Its device.</param>
/// <param name="BytesRead">Weight bytes read from the checkpoint.</param>
/// <param name="Elapsed">Time it took the rank.</param>
/// <param name="Memory">Device memory, one entry a purpose.</param>
/// <param name="PeakResidentBytes">Most memory its process has had resident.</param>
internal sealed record RankLoadSummary(
    int Rank,
    string Device,
    long BytesRead,
    TimeSpan Elapsed,
    IReadOnlyList<RankMemory> Memory,
    long PeakResidentBytes)
{
    /// <summary>What <see cref="Elapsed"/> was spent on, in order.</summary>
    public IReadOnlyList<StartPart> Parts { get; init; } = [];
}
