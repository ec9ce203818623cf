using TensorParallel.Protocol.Parallel;

namespace TensorParallel.Coordinator.Sharding;

/// <summary>What a shard set is cut from, and how.</summary>
/// <param name="ModelFolder">Full path of the model folder.</param>
/// <param name="Files">Full paths of the files that hold the model's tensors.</param>
/// <param name="Plan">The cut.</param>
internal sealed record ShardSource(string ModelFolder, IReadOnlyList<string> Files, ExecutionPlan Plan);
