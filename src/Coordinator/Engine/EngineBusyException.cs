namespace TensorParallel.Coordinator.Engine;

/// <summary>As many requests wait as may wait; the caller should try again later.</summary>
/// <param name="capacity">Most requests that may wait.</param>
internal sealed class EngineBusyException(int capacity)
    : Exception($"{capacity} requests are waiting already, which is the most this server keeps; try again later.");
