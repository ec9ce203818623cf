using TensorParallel.Protocol.Parallel;

namespace TensorParallel.Coordinator.Planning;

/// <summary>What a rank computes of a device map.</summary>
/// <param name="Layers">Consecutive layers; may be empty.</param>
/// <param name="HasEmbedding">Looks up the tokens.</param>
/// <param name="HasOutputHead">Final norm and head.</param>
internal readonly record struct RankStage(IndexRange Layers, bool HasEmbedding, bool HasOutputHead)
{
    /// <summary>Whether there is nothing to compute.</summary>
    public bool IsIdle => Layers.Length == 0 && !HasEmbedding && !HasOutputHead;
}
