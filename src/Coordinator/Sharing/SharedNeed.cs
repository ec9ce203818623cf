using TensorParallel.Protocol.Parallel;

namespace TensorParallel.Coordinator.Sharing;

/// <summary>Memory that a model needs, by device name; bytes.</summary>
/// <param name="Fixed">
/// Always: activations, slots that weights in host memory come through, what driver and libraries take (but of a budget that is for tensors
/// alone), and of a model that is never evicted everything.
/// </param>
/// <param name="Evictable">While it is on its devices: weights and KV cache.</param>
internal sealed record SharedNeed(IReadOnlyDictionary<string, long> Fixed, IReadOnlyDictionary<string, long> Evictable)
{
    /// <summary>Of the host, which all devices share.</summary>
    public HostNeed Host { get; init; } = new(0, 0);

    /// <summary>The need of a plan.</summary>
    /// <param name="plan">The plan.</param>
    /// <param name="evictable">Whether the model can be evicted.</param>
    /// <param name="hostBudget">Host memory that the user allows it; null: what is free.</param>
    public static SharedNeed Of(ExecutionPlan plan, bool evictable, long? hostBudget = null) => new(
        Sum(plan, rank => rank.WorkspaceBytes
            + (rank.Offload?.StagingBytes ?? 0)
            + (rank.BudgetBytes is null ? rank.RuntimeBytes : 0)
            + (evictable ? 0 : rank.WeightBytes + rank.KvBytes)),
        Sum(plan, rank => evictable ? rank.WeightBytes + rank.KvBytes : 0))
    {
        Host = new HostNeed(
            plan.Ranks.Sum(rank => rank.Offload?.HostBytes ?? 0), evictable ? plan.Ranks.Sum(rank => rank.WeightBytes) : 0, hostBudget),
    };

    private static Dictionary<string, long> Sum(ExecutionPlan plan, Func<RankPlan, long> bytes) =>
        plan.Ranks.GroupBy(rank => rank.Device).ToDictionary(ranks => ranks.Key, ranks => ranks.Sum(bytes));
}
