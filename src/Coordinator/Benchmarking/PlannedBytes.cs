using System.Text.Json.Serialization;
using TensorParallel.Protocol.Parallel;

namespace TensorParallel.Coordinator.Benchmarking;

/// <summary>What the plan counts for one rank.</summary>
internal sealed record PlannedBytes(
    [property: JsonPropertyName("weights")] long Weights,
    [property: JsonPropertyName("kv_cache")] long KvCache,
    [property: JsonPropertyName("workspace")] long Workspace,
    [property: JsonPropertyName("runtime")] long Runtime,
    [property: JsonPropertyName("total")] long Total)
{
    /// <summary>Of a rank.</summary>
    public static PlannedBytes Of(RankPlan rank) =>
        new(rank.WeightBytes, rank.KvBytes, rank.WorkspaceBytes, rank.RuntimeBytes, rank.TotalBytes);
}
