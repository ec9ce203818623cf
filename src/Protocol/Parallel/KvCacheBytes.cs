using TensorParallel.Protocol.Architectures;
using TensorParallel.Protocol.Checkpoints;

namespace TensorParallel.Protocol.Parallel;

/// <summary>Size of a rank's key/value cache.</summary>
public static class KvCacheBytes
{
    /// <summary>
    /// Keys and values of one block of positions, in all of a rank's layers. Example: 16 positions, 32 layers, 8 heads
    /// of 128, bf16: 16 · 32 · 8 · 128 · 2 · 2 = 2 MiB.
    /// </summary>
    public static long OfBlock(ModelSpec spec, RankPlan rank, int blockTokens, DType dtype)
    {
        var slices = rank.Tensors.ToDictionary(slice => slice.Name);
        return Enumerable.Range(rank.Layers.Start, rank.Layers.Length)
            .Select(layer => spec.Blocks[layer])
            .Sum(block => 2L * blockTokens * BlockLayout.Of(block, slices).KeyValueHeads.Length
                * block.Attention.HeadDim * dtype.SizeInBytes());
    }
}
