namespace TensorParallel.Worker.Sampling;

/// <summary>A row's logits allow no draw; the message names slot and position. Thrown on every rank alike.</summary>
internal sealed class SamplingException(string message) : Exception(message);
