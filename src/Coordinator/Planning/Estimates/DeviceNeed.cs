using System.Text.Json.Serialization;

namespace TensorParallel.Coordinator.Planning.Estimates;

/// <summary>What one device holds.</summary>
/// <param name="Device">Its number.</param>
/// <param name="WeightBytes">Weights that stay on it.</param>
/// <param name="KvBytes">KV cache of the estimate's batch and context.</param>
/// <param name="WorkspaceBytes">Activations and sampling.</param>
/// <param name="RuntimeBytes">Scratch of operations and collectives, driver and libraries.</param>
/// <param name="BudgetBytes">What it may hold of everything but the runtime's; null: not given.</param>
internal sealed record DeviceNeed(
    [property: JsonPropertyName("device")] string Device,
    [property: JsonPropertyName("weight_bytes")] long WeightBytes,
    [property: JsonPropertyName("kv_bytes")] long KvBytes,
    [property: JsonPropertyName("workspace_bytes")] long WorkspaceBytes,
    [property: JsonPropertyName("runtime_bytes")] long RuntimeBytes,
    [property: JsonPropertyName("budget_bytes")] long? BudgetBytes)
{
    /// <summary>Slots that weights come through which are off it.</summary>
    [JsonPropertyName("staging_bytes")]
    public long StagingBytes { get; init; }

    /// <summary>Weights that come to it for every token.</summary>
    [JsonPropertyName("bus_bytes")]
    public long BusBytes { get; init; }

    /// <summary>All of it.</summary>
    [JsonPropertyName("total_bytes")]
    public long TotalBytes => WeightBytes + KvBytes + WorkspaceBytes + StagingBytes + RuntimeBytes;

    /// <summary>Whether its budget, which is for tensors alone, is enough.</summary>
    [JsonIgnore]
    public bool Fits => BudgetBytes is not { } budget || TotalBytes - RuntimeBytes <= budget;
}
