namespace TensorParallel.Protocol.Generation;

/// <summary>
/// One engine step, the same for every rank. Row order is the order of <paramref name="Sequences"/>. Steps are executed
/// in the order sent; step k + 1 may be sent before the result of step k has been read.
/// </summary>
/// <param name="Step">Number of the step, rising by one.</param>
/// <param name="Sequences">Sequences of this step; each slot at most once.</param>
public sealed record StepBatch(long Step, IReadOnlyList<StepSequence> Sequences);
