namespace TensorParallel.Worker.Loading;

/// <summary>How far loading has come.</summary>
/// <param name="BytesDone">File bytes of this rank's parts that are on the device.</param>
/// <param name="BytesTotal">File bytes of all of this rank's parts.</param>
internal readonly record struct LoadProgress(long BytesDone, long BytesTotal);
