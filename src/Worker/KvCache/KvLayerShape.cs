namespace TensorParallel.Worker.KvCache;

/// <summary>What one rank caches of one layer.</summary>
/// <param name="Heads">Key/value heads on this rank; may be none.</param>
/// <param name="HeadDim">Size of one head.</param>
internal readonly record struct KvLayerShape(int Heads, int HeadDim);
