using TensorParallel.Coordinator.Workers;

namespace TensorParallel.Coordinator.Api;

/// <summary>Memory of one model's workers.</summary>
/// <param name="Name">The model.</param>
/// <param name="Ranks">In rank order; empty where nobody can be asked.</param>
/// <param name="Problem">Why not; null: somebody was.</param>
internal sealed record ModelMemoryReport(string Name, IReadOnlyList<RankMemoryState> Ranks, string? Problem = null);
