namespace TensorParallel.Coordinator.Workers;

/// <summary>The oldest unanswered step.</summary>
/// <param name="Step">Its number.</param>
/// <param name="Waited">Since the step before it was done, or since it was sent to an idle group.</param>
/// <param name="Rank">The first rank that has not answered it.</param>
internal readonly record struct StepWait(long Step, TimeSpan Waited, int Rank);
