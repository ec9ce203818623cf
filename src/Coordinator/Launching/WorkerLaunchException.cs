namespace TensorParallel.Coordinator.Launching;

/// <summary>No worker can be started or asked here; the message says what was tried and what to do.</summary>
internal sealed class WorkerLaunchException(string message) : Exception(message);
