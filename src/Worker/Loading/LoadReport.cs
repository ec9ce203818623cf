namespace TensorParallel.Worker.Loading;

/// <summary>What loading took.</summary>
/// <param name="OwnedBytes">File bytes of this rank's parts.</param>
/// <param name="BytesRead">File bytes read: the owned ones and gaps of less than a page between them.</param>
/// <param name="Files">Files opened.</param>
/// <param name="Duration">Wall time.</param>
internal sealed record LoadReport(long OwnedBytes, long BytesRead, int Files, TimeSpan Duration);
