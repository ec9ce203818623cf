namespace TensorParallel.Worker.Collectives;

/// <summary>What one call took on this group.</summary>
/// <param name="Operation">The operation, for people.</param>
/// <param name="Path">The way it went, for people: <c>nccl</c>, <c>one shot</c>, <c>two shots</c>.</param>
/// <param name="Bytes">Bytes of one rank's tensor.</param>
/// <param name="Microseconds">Time of a call among many in a row.</param>
internal sealed record CollectiveTiming(string Operation, string Path, long Bytes, double Microseconds);
