namespace TensorParallel.Protocol.Checkpoints;

/// <summary>
/// A model folder cannot be used. The message is one sentence for the user: which file, which tensor or key, what is
/// wrong and, where there is a way out, what to do.
/// </summary>
public sealed class CheckpointException(string message, Exception? innerException = null)
    : Exception(message, innerException);
