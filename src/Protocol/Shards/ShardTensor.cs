using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Protocol.Parallel;

namespace TensorParallel.Protocol.Shards;

/// <summary>What a rank's file holds of one tensor.</summary>
/// <param name="Name">The model's name of the tensor, which is also its name in the file.</param>
/// <param name="DType">Its dtype in the file: the run's.</param>
/// <param name="Dim">Cut dimension, as in <see cref="TensorSlice"/>.</param>
/// <param name="Ranges">Held parts, as in <see cref="TensorSlice"/>.</param>
/// <param name="Hashes">Of its pieces, see <see cref="ShardPieces"/>.</param>
public sealed record ShardTensor(
    string Name, DType DType, int? Dim, IReadOnlyList<IndexRange> Ranges, IReadOnlyList<UInt128> Hashes)
{
    /// <summary>Whether it is the part that a plan gives a rank.</summary>
    public bool IsPartOf(TensorSlice slice, DType dtype) =>
        Name == slice.Name && DType == dtype && Dim == slice.Dim && Ranges.SequenceEqual(slice.Ranges);
}
