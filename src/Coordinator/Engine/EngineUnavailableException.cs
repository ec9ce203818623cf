namespace TensorParallel.Coordinator.Engine;

/// <summary>
/// The engine does not take or no longer finishes requests: it is stopping, stopped, or its workers cannot be started.
/// </summary>
/// <param name="message">One sentence that says which.</param>
internal sealed class EngineUnavailableException(string message) : Exception(message);
