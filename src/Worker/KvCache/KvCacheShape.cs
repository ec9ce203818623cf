using TensorParallel.Protocol.Checkpoints;

namespace TensorParallel.Worker.KvCache;

/// <summary>What one rank caches.</summary>
/// <param name="DType">Element type.</param>
/// <param name="Blocks">Number of blocks.</param>
/// <param name="BlockTokens">Token positions of a block.</param>
/// <param name="FirstLayer">Number of the first layer of <paramref name="Layers"/> in the whole model.</param>
/// <param name="Layers">One entry a layer on this rank, in order.</param>
internal sealed record KvCacheShape(
    DType DType, int Blocks, int BlockTokens, int FirstLayer, IReadOnlyList<KvLayerShape> Layers);
