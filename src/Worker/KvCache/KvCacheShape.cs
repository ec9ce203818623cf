using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Protocol.Parallel;

namespace TensorParallel.Worker.KvCache;

/// <summary>What one rank caches.</summary>
/// <param name="DType">Element type.</param>
/// <param name="Layers">Layers of the whole model that are on this rank.</param>
/// <param name="Blocks">Number of blocks.</param>
/// <param name="BlockTokens">Token positions of a block.</param>
/// <param name="Heads">Key/value heads on this rank.</param>
/// <param name="HeadDim">Size of one head.</param>
internal sealed record KvCacheShape(DType DType, IndexRange Layers, int Blocks, int BlockTokens, int Heads, int HeadDim);
