using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Worker.Devices;

namespace TensorParallel.Worker.Loading;

/// <summary>
/// One read: a rectangle of a tensor in a file and the rectangle of device memory it fills.
/// </summary>
/// <param name="Source">The tensor in its file.</param>
/// <param name="FileOffset">Byte of the rectangle's first element, from the start of the file.</param>
/// <param name="PitchBytes">Bytes in the file from one row to the next.</param>
/// <param name="Destination">The rectangle on the device: rows and columns are those of the read.</param>
/// <param name="WithGaps">
/// Read from the first to the last byte, bytes between the rows too, instead of row by row: where the gaps are
/// smaller than a page, leaving them out would spare no disk access, and a call costs as much as copying them.
/// </param>
internal readonly record struct ReadChunk(
    TensorInfo Source, long FileOffset, long PitchBytes, Tensor Destination, bool WithGaps)
{
    /// <summary>Bytes of a row in the file.</summary>
    public int RowBytes => Destination.Columns * Source.DType.SizeInBytes();

    /// <summary>Bytes in the file that the rank owns.</summary>
    public long OwnedBytes => (long)Destination.Rows * RowBytes;

    /// <summary>Bytes that are read.</summary>
    public long ReadBytes => WithGaps ? ((Destination.Rows - 1) * PitchBytes) + RowBytes : OwnedBytes;

    /// <summary>Whether elements change on the way.</summary>
    public bool Converts => Source.DType != Destination.DType;

    /// <summary>Bytes of a slot that it fills: what is read, or what the elements are turned into.</summary>
    public long SlotBytes => Converts
        ? (long)Destination.Rows * Destination.Columns * Destination.DType.SizeInBytes()
        : ReadBytes;

    /// <summary>Whether its rows follow one another in the file.</summary>
    public bool IsDense => Destination.Rows == 1 || PitchBytes == RowBytes;
}
