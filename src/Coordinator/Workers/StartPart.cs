namespace TensorParallel.Coordinator.Workers;

/// <summary>A part of a rank's start.</summary>
/// <param name="Name">What was done.</param>
/// <param name="Duration">Time it took.</param>
internal readonly record struct StartPart(string Name, TimeSpan Duration);
