using System.Text.Json.Serialization;

namespace TensorParallel.Coordinator.Planning.Estimates;

/// <summary>What one device holds.</summary>
/// <param name="Device">Its number.</param>
/// <param name="WeightBytes">Weights.</param>
/// <param name="KvBytes">KV cache of the estimate's batch and context.</param>
/// <param name="WorkspaceBytes">
/// Activations and sampling; also cache of and room for layers that are brought to it.
/// </param>
/// <param name="RuntimeBytes">Scratch of operations and collectives, driver and libraries.</param>
/// <param name="BudgetBytes">What it may hold of the first three; null: not given.</param>
internal sealed record DeviceNeed(
    [property: JsonPropertyName("device")] string Device,
    [property: JsonPropertyName("weight_bytes")] long WeightBytes,
    [property: JsonPropertyName("kv_bytes")] long KvBytes,
    [property: JsonPropertyName("workspace_bytes")] long WorkspaceBytes,
    [property: JsonPropertyName("runtime_bytes")] long RuntimeBytes,
    [property: JsonPropertyName("budget_bytes")] long? BudgetBytes)
{
    /// <summary>All of it.</summary>
    [JsonPropertyName("total_bytes")]
    public long TotalBytes => WeightBytes + KvBytes + WorkspaceBytes + RuntimeBytes;

    /// <summary>Whether its budget, which is for tensors alone, is enough.</summary>
    [JsonIgnore]
    public bool Fits => BudgetBytes is not { } budget || TotalBytes - RuntimeBytes <= budget;
}
