using TensorParallel.Protocol.Checkpoints;

namespace TensorParallel.Worker.Devices;

/// <summary>
/// A two-dimensional, row-major view of device memory: it owns nothing. Vectors are one row.
/// </summary>
/// <param name="Buffer">The memory; must outlive the view.</param>
/// <param name="OffsetBytes">Of element [0, 0] in the buffer.</param>
/// <param name="DType">Element type.</param>
/// <param name="Rows">Number of rows.</param>
/// <param name="Columns">Elements of a row that count.</param>
/// <param name="RowStride">Elements from one row to the next; at least <paramref name="Columns"/>.</param>
internal readonly record struct Tensor(
    DeviceBuffer Buffer, long OffsetBytes, DType DType, int Rows, int Columns, int RowStride)
{
    /// <summary>Address of element [0, 0].</summary>
    public nint Address => Buffer.Address + (nint)OffsetBytes;

    /// <summary>Rows [start, start + count) of this view.</summary>
    public Tensor RowsAt(int start, int count)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(start);
        ArgumentOutOfRangeException.ThrowIfGreaterThan((long)start + count, Rows, nameof(count));
        return this with { OffsetBytes = OffsetBytes + ((long)start * RowStride * DType.SizeInBytes()), Rows = count };
    }

    /// <summary>
    /// Columns [start, start + count) of this view; the stride stays. Example: k inside a fused qkv row of 8·64 + 2·4·64.
    /// </summary>
    public Tensor ColumnsAt(int start, int count)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(start);
        ArgumentOutOfRangeException.ThrowIfGreaterThan((long)start + count, Columns, nameof(count));
        return this with { OffsetBytes = OffsetBytes + ((long)start * DType.SizeInBytes()), Columns = count };
    }
}
