namespace TensorParallel.Worker.Execution;

/// <summary>A step that cannot be executed; the message names the step, the slot and what contradicts what.</summary>
internal sealed class StepException(string message) : Exception(message);
