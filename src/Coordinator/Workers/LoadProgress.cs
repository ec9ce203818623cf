namespace TensorParallel.Coordinator.Workers;

/// <summary>How far one rank's loading is.</summary>
/// <param name="Rank">The rank.</param>
/// <param name="BytesDone">Weight bytes read so far.</param>
/// <param name="BytesTotal">Weight bytes this rank reads in all.</param>
internal readonly record struct LoadProgress(int Rank, long BytesDone, long BytesTotal);
