namespace TensorParallel.Worker.Collectives;

/// <summary>A collective failed: a peer did not arrive in time, or its memory is gone.</summary>
internal sealed class CollectiveException(string message) : Exception(message);
