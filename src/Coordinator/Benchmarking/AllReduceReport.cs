namespace TensorParallel.Coordinator.Benchmarking;

/// <summary>A sum over all ranks.</summary>
/// <param name="Method">Name of the collective.</param>
/// <param name="Bytes">Bytes of the message.</param>
/// <param name="Microseconds">Of one call, by the slowest rank.</param>
internal sealed record AllReduceReport(string Method, long Bytes, double Microseconds);
