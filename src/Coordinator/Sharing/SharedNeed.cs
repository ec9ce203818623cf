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
    /// <summary>The need of a plan.</summary>
    public static SharedNeed Of(ExecutionPlan plan, bool evictable) => new(
        Sum(plan, rank => rank.WorkspaceBytes
            + (rank.Offload?.StagingBytes ?? 0)
            + (rank.BudgetBytes is null ? rank.RuntimeBytes : 0)
            + (evictable ? 0 : rank.WeightBytes + rank.KvBytes)),
        Sum(plan, rank => evictable ? rank.WeightBytes + rank.KvBytes : 0));

    private static Dictionary<string, long> Sum(ExecutionPlan plan, Func<RankPlan, long> bytes) =>
        plan.Ranks.GroupBy(rank => rank.Device).ToDictionary(ranks => ranks.Key, ranks => ranks.Sum(bytes));
}
