namespace TensorParallel.Protocol.Wire;

/// <summary>
/// A message of the other side holds a value that the protocol does not allow; the message names field and value.
/// </summary>
public sealed class WireException(string message) : Exception(message);
