namespace TensorParallel.Coordinator.Planning;

/// <summary>Sizes that a user asked for; null is the default, see <see cref="LimitsPlanner"/>.</summary>
/// <param name="MaxStepTokens">Most rows of a step.</param>
/// <param name="MaxSequences">Most sequences of a step.</param>
/// <param name="MaxContextTokens">Longest sequence.</param>
/// <param name="KvBlockTokens">Positions of a KV block.</param>
/// <param name="KvBlocks">KV blocks on every rank.</param>
internal sealed record LimitsRequest(
    int? MaxStepTokens = null,
    int? MaxSequences = null,
    int? MaxContextTokens = null,
    int? KvBlockTokens = null,
    int? KvBlocks = null);
