namespace TensorParallel.Worker.Loading;

/// <summary>What loading took.</summary>
/// <param name="OwnedBytes">File bytes of this rank's parts.</param>
/// <param name="BytesRead">File bytes read: the owned ones and gaps of less than a page between them.</param>
/// <param name="Files">Files opened.</param>
/// <param name="Began">Stopwatch ticks at which reading began.</param>
/// <param name="Duration">Wall time until everything was on the device.</param>
internal sealed record LoadReport(long OwnedBytes, long BytesRead, int Files, long Began, TimeSpan Duration);
