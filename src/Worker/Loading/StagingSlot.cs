using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Worker.Devices;

namespace TensorParallel.Worker.Loading;

/// <summary>
/// Host memory that one loader thread passes weights through, one chunk at a time: file bytes in, device bytes out.
/// Its buffers grow to the largest chunk and are reused, so loading needs a few MB a thread whatever the size of the
/// model.
/// </summary>
internal sealed class StagingSlot(IDevice device)
{
    private byte[] _read = [];
    private byte[] _packed = [];

    /// <summary>Reads one chunk and copies it to its place, gathered and converted on the way.</summary>
    public void Transfer(SafetensorsFile file, in ReadChunk chunk)
    {
        var source = Grow(ref _read, chunk.ReadBytes);
        if (chunk.WithGaps || chunk.Destination.Rows == 1)
        {
            file.Read(chunk.FileOffset, source, chunk.Source.Name);
        }
        else
        {
            for (var row = 0; row < chunk.Destination.Rows; row++)
            {
                var at = row * chunk.RowBytes;
                var offset = chunk.FileOffset + (row * chunk.PitchBytes);
                file.Read(offset, source.Slice(at, chunk.RowBytes), chunk.Source.Name);
            }
        }

        CopyToDevice(Pack(chunk, source), chunk.Destination);
    }

    // Rows without gaps, in the device's dtype.
    private ReadOnlySpan<byte> Pack(in ReadChunk chunk, Span<byte> source)
    {
        var (from, to) = (chunk.Source.DType, chunk.Destination.DType);
        var sourcePitch = chunk.WithGaps ? (int)chunk.PitchBytes : chunk.RowBytes;
        if (sourcePitch == chunk.RowBytes && from == to)
        {
            return source;
        }

        var targetPitch = chunk.Destination.Columns * to.SizeInBytes();
        var packed = Grow(ref _packed, (long)targetPitch * chunk.Destination.Rows);
        if (sourcePitch == chunk.RowBytes)
        {
            DTypeConversion.Convert(from, source, to, packed);
            return packed;
        }

        for (var row = 0; row < chunk.Destination.Rows; row++)
        {
            DTypeConversion.Convert(
                from,
                source.Slice(row * sourcePitch, chunk.RowBytes),
                to,
                packed.Slice(row * targetPitch, targetPitch));
        }

        return packed;
    }

    private void CopyToDevice(ReadOnlySpan<byte> packed, Tensor destination)
    {
        if (destination.RowStride == destination.Columns || destination.Rows == 1)
        {
            device.CopyToDevice(packed, destination.Buffer, destination.OffsetBytes);
            return;
        }

        var rowBytes = destination.Columns * destination.DType.SizeInBytes();
        for (var row = 0; row < destination.Rows; row++)
        {
            device.CopyToDevice(
                packed.Slice(row * rowBytes, rowBytes), destination.Buffer, destination.RowsAt(row, 1).OffsetBytes);
        }
    }

    private static Span<byte> Grow(ref byte[] buffer, long bytes)
    {
        if (buffer.Length < bytes)
        {
            buffer = GC.AllocateUninitializedArray<byte>(checked((int)bytes), pinned: true);
        }

        return buffer.AsSpan(0, (int)bytes);
    }
}
