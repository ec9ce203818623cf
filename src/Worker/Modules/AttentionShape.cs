using TensorParallel.Worker.Ops;

namespace TensorParallel.Worker.Modules;

/// <summary>What one attention layer is on this rank.</summary>
/// <param name="Layer">Number of the layer in the whole model.</param>
/// <param name="Heads">Heads this rank computes; may be none.</param>
/// <param name="Options">Constants.</param>
internal sealed record AttentionShape(int Layer, HeadLayout Heads, AttentionOptions Options);
