namespace TensorParallel.Protocol.Parallel;

/// <summary>Everything one rank holds and allocates.</summary>
/// <param name="Rank">0 … world size − 1.</param>
/// <param name="Device">Device name, for example <c>cpu:0</c> or <c>cuda:1</c>.</param>
/// <param name="WeightBytes">
/// On the device for good: sum over <paramref name="Tensors"/> without those of <see cref="Offload"/>; a tied embedding/head held
/// once is counted once.
/// </param>
/// <param name="KvBytes">Key/value cache of this rank's layers and heads.</param>
/// <param name="WorkspaceBytes">Activations and sampling for the largest step.</param>
/// <param name="Layers">
/// Decoder blocks on this rank (all of them under tensor parallelism; may be empty in a device map).
/// </param>
/// <param name="HasEmbedding">This rank looks up token embeddings.</param>
/// <param name="HasOutputHead">This rank holds final norm and output head (or its part of it).</param>
/// <param name="KeyValueHeads">
/// Key/value heads whose cache this rank keeps. Example: 12 query heads over 3 KV heads, 2 ranks: [0, 2) and [1, 3).
/// </param>
/// <param name="QueryHeads">Query heads this rank computes.</param>
/// <param name="Tensors">Slices in load order.</param>
public sealed record RankPlan(
    int Rank,
    string Device,
    long WeightBytes,
    long KvBytes,
    long WorkspaceBytes,
    IndexRange Layers,
    bool HasEmbedding,
    bool HasOutputHead,
    IndexRange QueryHeads,
    IndexRange KeyValueHeads,
    IReadOnlyList<TensorSlice> Tensors)
{
    /// <summary>What is not on the device, and how it comes there; null: everything is on it.</summary>
    public OffloadPlan? Offload { get; init; }
}
