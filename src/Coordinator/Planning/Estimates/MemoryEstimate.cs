using System.Text.Json.Serialization;

namespace TensorParallel.Coordinator.Planning.Estimates;

/// <summary>What a model needs, from its configuration alone.</summary>
internal sealed record MemoryEstimate
{
    /// <summary>Name for people.</summary>
    [JsonPropertyName("model")]
    public required string Model { get; init; }

    /// <summary>Hugging Face's <c>model_type</c>.</summary>
    [JsonPropertyName("model_type")]
    public required string ModelType { get; init; }

    /// <summary>Whether it can be run here; else cache and activations are those of a Llama of its sizes.</summary>
    [JsonPropertyName("can_run")]
    public required bool CanRun { get; init; }

    /// <summary>Tied ones counted once.</summary>
    [JsonPropertyName("parameters")]
    public required long Parameters { get; init; }

    /// <summary>Of weights and KV cache.</summary>
    [JsonPropertyName("dtype")]
    public required string DType { get; init; }

    /// <summary>In <see cref="DType"/>.</summary>
    [JsonPropertyName("weight_bytes")]
    public required long WeightBytes { get; init; }

    /// <summary>The same in other formats.</summary>
    [JsonPropertyName("formats")]
    public required IReadOnlyList<FormatBytes> Formats { get; init; }

    /// <summary>In <see cref="DType"/>.</summary>
    [JsonPropertyName("largest_module")]
    public required LargestModule LargestModule { get; init; }

    /// <summary>Tokens of a sequence.</summary>
    [JsonPropertyName("context")]
    public required int ContextTokens { get; init; }

    /// <summary>Sequences at once.</summary>
    [JsonPropertyName("batch")]
    public required int Batch { get; init; }

    /// <summary>By context, for one sequence and for <see cref="Batch"/>.</summary>
    [JsonPropertyName("kv_cache")]
    public required IReadOnlyList<CacheBytes> KvCache { get; init; }

    /// <summary>Tensor parallel and by device map on 1, 2, 4 and 8 equal devices.</summary>
    [JsonPropertyName("spreads")]
    public required IReadOnlyList<SpreadEstimate> Spreads { get; init; }

    /// <summary>The same on the memory that was given; empty: none was.</summary>
    [JsonPropertyName("given")]
    public required IReadOnlyList<SpreadEstimate> Given { get; init; }
}
