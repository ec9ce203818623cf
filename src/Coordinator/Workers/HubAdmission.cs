namespace TensorParallel.Coordinator.Workers;

/// <summary>Who may connect.</summary>
/// <param name="Secret">What every worker of the group was given.</param>
/// <param name="Ranks">The ranks, in rank order.</param>
/// <param name="HelloTimeout">Longest wait for the first event of a stream.</param>
internal sealed record HubAdmission(string Secret, IReadOnlyList<WorkerRank> Ranks, TimeSpan HelloTimeout);
