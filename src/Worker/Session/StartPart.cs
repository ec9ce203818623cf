namespace TensorParallel.Worker.Session;

/// <summary>One part of a rank's start; parts may overlap.</summary>
/// <param name="Name">For people and JSON: <c>driver</c>, <c>weights</c>.</param>
/// <param name="Began">Stopwatch ticks: on Linux the same clock in every process of a host.</param>
/// <param name="Duration">How long it took.</param>
internal readonly record struct StartPart(string Name, long Began, TimeSpan Duration);
