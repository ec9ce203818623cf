namespace TensorParallel.Worker.Session;

/// <summary>A part of making a rank ready.</summary>
/// <param name="Name">What was done.</param>
/// <param name="Duration">Time it took.</param>
internal readonly record struct StartPart(string Name, TimeSpan Duration);
