namespace TensorParallel.Coordinator.Workers;

/// <summary>One part of a start; parts may overlap.</summary>
/// <param name="Name">For people and JSON: <c>driver</c>, <c>weights</c>.</param>
/// <param name="Began">By the host's monotonic clock, which coordinator and workers share.</param>
/// <param name="Duration">How long it took.</param>
internal readonly record struct StartPartSummary(string Name, TimeSpan Began, TimeSpan Duration);
