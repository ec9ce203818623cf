using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Worker.Devices;

namespace TensorParallel.Worker.Collectives;

/// <summary>
/// A tensor in host memory as one run of bytes, row after row without the gaps between them, so that it can be cut into
/// chunks anywhere. Example: a [2, 3] F32 view with row stride 8 is 24 bytes; bytes 8 … 20 are its last element of row
/// 0 and its first two of row 1.
/// </summary>
internal readonly unsafe struct TensorBytes
{
    private readonly byte* _start;
    private readonly long _rowBytes;
    private readonly long _strideBytes;

    private TensorBytes(byte* start, int rows, long rowBytes, long strideBytes)
    {
        // Rows without gaps are one long row: one copy instead of many.
        var dense = rowBytes == strideBytes || rows == 1;
        _start = start;
        Length = rows * rowBytes;
        _rowBytes = dense ? Length : rowBytes;
        _strideBytes = dense ? Length : strideBytes;
    }

    /// <summary>Bytes in all.</summary>
    public long Length { get; }

    /// <summary>
    /// Checks that the view lies inside its buffer; throws <see cref="ArgumentException"/> otherwise.
    /// </summary>
    public static TensorBytes Of(Tensor tensor, string name)
    {
        GroupCalls.CheckBounds(tensor, name);
        var element = tensor.DType.SizeInBytes();
        return new TensorBytes(
            (byte*)tensor.Address, tensor.Rows, (long)tensor.Columns * element, (long)tensor.RowStride * element);
    }

    /// <summary>
    /// Longest contiguous piece that starts at byte <paramref name="position"/>, at most <paramref name="limit"/> bytes
    /// of it.
    /// </summary>
    public Span<byte> Piece(long position, int limit)
    {
        var row = position / _rowBytes;
        var column = position - (row * _rowBytes);
        return new Span<byte>(_start + (row * _strideBytes) + column, (int)Math.Min(limit, _rowBytes - column));
    }

    /// <summary>Copies <paramref name="target"/>.Length bytes from <paramref name="position"/> on.</summary>
    public void CopyTo(long position, Span<byte> target)
    {
        while (!target.IsEmpty)
        {
            var piece = Piece(position, target.Length);
            piece.CopyTo(target);
            target = target[piece.Length..];
            position += piece.Length;
        }
    }

    /// <summary>Overwrites <paramref name="source"/>.Length bytes from <paramref name="position"/> on.</summary>
    public void CopyFrom(long position, ReadOnlySpan<byte> source)
    {
        while (!source.IsEmpty)
        {
            var piece = Piece(position, source.Length);
            source[..piece.Length].CopyTo(piece);
            source = source[piece.Length..];
            position += piece.Length;
        }
    }
}
