using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Protocol.Parallel;
using TensorParallel.Protocol.Shards;

namespace TensorParallel.Worker.Loading.Shards;

/// <summary>One tensor in a rank's file.</summary>
/// <param name="Slice">Which part of it.</param>
/// <param name="FullShape">Its shape before the cut.</param>
/// <param name="Shape">Its shape in the file.</param>
/// <param name="DType">Its dtype in the file.</param>
/// <param name="Offset">First byte.</param>
internal sealed record ShardPart(
    TensorSlice Slice, IReadOnlyList<int> FullShape, IReadOnlyList<int> Shape, DType DType, long Offset)
{
    /// <summary>Rows; a vector is one.</summary>
    public int Rows => Shape.Count == 1 ? 1 : Shape[0];

    /// <summary>Elements of a row.</summary>
    public int Columns => Shape[^1];

    /// <summary>Bytes in the file.</summary>
    public long Bytes => (long)Rows * Columns * DType.SizeInBytes();

    /// <summary>The pieces that are hashed as one: first byte in the file, and bytes.</summary>
    public IEnumerable<(long Offset, int Bytes)> Pieces(int pieceBytes) =>
        ShardPieces.Of(Rows, Columns, DType.SizeInBytes(), pieceBytes).Select(piece => (Offset + piece.Offset, piece.Bytes));
}
