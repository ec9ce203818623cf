using TensorParallel.Protocol.Generation;

namespace TensorParallel.Coordinator.Engine;

/// <summary>
/// A step together with whose it is: entry i of the batch belongs to <paramref name="Sequences"/>[i].
/// </summary>
/// <param name="Batch">What the workers get.</param>
/// <param name="Sequences">The sequences, in the batch's order.</param>
internal sealed record ScheduledStep(StepBatch Batch, IReadOnlyList<Sequence> Sequences);
