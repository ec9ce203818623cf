using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Worker.Devices;

namespace TensorParallel.Worker.Loading;

/// <summary>
/// One loader thread's work: file bytes into the slots of its lane, gathered and converted on the way, or straight into their place
/// where that is memory of this process. One thread.
/// </summary>
/// <param name="lane">The thread's way there.</param>
/// <param name="check">Sees what was read before it is copied or told as done; null: nothing is checked.</param>
internal sealed unsafe class ChunkTransfer(IUploadLane lane, IChunkCheck? check = null)
{
    private byte[] _unconverted = [];

    /// <summary>Reads the chunks of one batch and queues their copies.</summary>
    public void Transfer(IReadOnlyDictionary<string, SafetensorsFile> files, IReadOnlyList<ReadChunk> chunks, ReadBatch batch)
    {
        var slot = Span<byte>.Empty; // taken when the first chunk needs it
        var end = 0L;
        for (var i = batch.First; i < batch.First + batch.Count; i++)
        {
            var chunk = chunks[i];
            var file = files[chunk.Source.File];
            if (chunk.Destination.Buffer.IsHostMemory)
            {
                TransferInPlace(file, chunk);
                continue;
            }

            if (slot.IsEmpty)
            {
                slot = lane.NextSlot();
            }

            var start = (int)ReadBatch.Align(end);
            end = start + chunk.SlotBytes;
            lane.Copy(start, Fill(file, chunk, slot[start..(int)end]), chunk.Destination);
        }
    }

    // Fills a part of a slot; returns the bytes from one of its rows to the next.
    private long Fill(SafetensorsFile file, in ReadChunk chunk, Span<byte> part)
    {
        if (!chunk.Converts)
        {
            Read(file, chunk, part);
            check?.Check(chunk, part);
            return chunk.WithGaps ? chunk.PitchBytes : chunk.RowBytes;
        }

        var source = Grow(chunk.ReadBytes);
        Read(file, chunk, source);
        check?.Check(chunk, source);
        var (from, to) = (chunk.Source.DType, chunk.Destination.DType);
        var rowBytes = chunk.Destination.Columns * to.SizeInBytes();
        if (chunk.IsDense || !chunk.WithGaps)
        {
            DTypeConversion.Convert(from, source, to, part);
            return rowBytes;
        }

        for (var row = 0; row < chunk.Destination.Rows; row++)
        {
            var elements = source.Slice((int)(row * chunk.PitchBytes), chunk.RowBytes);
            DTypeConversion.Convert(from, elements, to, part.Slice(row * rowBytes, rowBytes));
        }

        return rowBytes;
    }

    private static void Read(SafetensorsFile file, in ReadChunk chunk, Span<byte> target)
    {
        if (chunk.WithGaps || chunk.IsDense)
        {
            file.Read(chunk.FileOffset, target, chunk.Source.Name);
            return;
        }

        for (var row = 0; row < chunk.Destination.Rows; row++)
        {
            var offset = chunk.FileOffset + (row * chunk.PitchBytes);
            file.Read(offset, target.Slice(row * chunk.RowBytes, chunk.RowBytes), chunk.Source.Name);
        }
    }

    // One run of bytes in the file and in memory.
    private static bool IsOneRun(in ReadChunk chunk) =>
        chunk.IsDense && (chunk.Destination.Rows == 1 || chunk.Destination.RowStride == chunk.Destination.Columns);

    // With gaps between its rows, in another dtype, or to be checked as a whole, a rectangle is read into memory of this thread and picked out of there.
    private void TransferInPlace(SafetensorsFile file, in ReadChunk chunk)
    {
        var place = chunk.Destination;
        if (chunk.Converts || (chunk.WithGaps && !chunk.IsDense) || (check is not null && !IsOneRun(chunk)))
        {
            var source = Grow(chunk.ReadBytes);
            Read(file, chunk, source);
            check?.Check(chunk, source);
            var pitch = chunk.WithGaps && !chunk.IsDense ? chunk.PitchBytes : chunk.RowBytes;
            for (var row = 0; row < place.Rows; row++)
            {
                var target = new Span<byte>((void*)place.RowsAt(row, 1).Address, place.Columns * place.DType.SizeInBytes());
                DTypeConversion.Convert(chunk.Source.DType, source.Slice((int)(row * pitch), chunk.RowBytes), place.DType, target);
            }

            return;
        }

        if (IsOneRun(chunk))
        {
            var target = new Span<byte>((void*)place.Address, (int)chunk.OwnedBytes);
            file.Read(chunk.FileOffset, target, chunk.Source.Name);
            check?.Check(chunk, target);
            return;
        }

        for (var row = 0; row < place.Rows; row++)
        {
            var target = new Span<byte>((void*)place.RowsAt(row, 1).Address, chunk.RowBytes);
            file.Read(chunk.FileOffset + (row * chunk.PitchBytes), target, chunk.Source.Name);
        }
    }

    private Span<byte> Grow(long bytes)
    {
        if (_unconverted.Length < bytes)
        {
            _unconverted = GC.AllocateUninitializedArray<byte>(checked((int)bytes));
        }

        return _unconverted.AsSpan(0, (int)bytes);
    }
}
