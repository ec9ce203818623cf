using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Protocol.Generation;

namespace TensorParallel.Protocol.Parallel;

/// <summary>The whole decision: pure data, printable, the same for every rank. Immutable.</summary>
/// <param name="Mode">Tensor parallel or device map.</param>
/// <param name="WorldSize">Number of ranks.</param>
/// <param name="FallbackReasons">
/// Why tensor parallelism was not possible; empty when it was, or was not asked for.
/// </param>
/// <param name="DeviceMap">
/// Module → number of the device (Hugging Face's <c>hf_device_map</c>); null under tensor parallelism.
/// </param>
/// <param name="DType">Dtype of weights and KV cache on the device: F32, BF16 or F16.</param>
/// <param name="Limits">Largest step, context and cache the ranks allocate for.</param>
/// <param name="Ranks">One entry a rank, in rank order.</param>
/// <param name="Notes">Remarks for people: parameters no key names (held whole), heads held twice, …</param>
public sealed record ExecutionPlan(
    PlanMode Mode,
    int WorldSize,
    IReadOnlyList<string> FallbackReasons,
    IReadOnlyList<KeyValuePair<string, string>>? DeviceMap,
    DType DType,
    StepLimits Limits,
    IReadOnlyList<RankPlan> Ranks,
    IReadOnlyList<string> Notes)
{
    /// <summary>
    /// Bytes of weights that each place of the device map was filled up to, in order; null where the size of a place is
    /// not known, and as a whole under tensor parallelism.
    /// </summary>
    public IReadOnlyList<KeyValuePair<string, long?>>? DeviceMapBudget { get; init; }

    /// <summary>
    /// Rows or columns of a tensor on each rank, in rank order: what an all-gather of its output joins. 0 where a rank
    /// does not hold it.
    /// </summary>
    /// <exception cref="ArgumentException">A rank holds the tensor whole, so that there is nothing to join.</exception>
    public IReadOnlyList<int> CutLengths(string tensorName) => [.. Ranks.Select(rank =>
    {
        var slice = rank.Tensors.FirstOrDefault(slice => slice.Name == tensorName);
        return slice is { Dim: null }
            ? throw new ArgumentException($"Rank {rank.Rank} holds {tensorName} whole.", nameof(tensorName))
            : slice?.Ranges.Sum(range => range.Length) ?? 0;
    })];
}
