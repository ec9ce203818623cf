using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Worker.Devices;

namespace TensorParallel.Worker.Loading.Shards;

/// <summary>One loader thread's way into a file: one slot, written out before a copy returns. Used by one thread.</summary>
internal sealed class ShardFileLane(ShardFile file, int slotBytes) : IUploadLane
{
    private readonly byte[] _slot = GC.AllocateUninitializedArray<byte>(slotBytes);

    public int SlotBytes => slotBytes;

    public int Slots => 1;

    public Span<byte> NextSlot() => _slot;

    public void Copy(int offset, long pitchBytes, Tensor destination)
    {
        var rowBytes = destination.Columns * destination.DType.SizeInBytes();
        var isDense = destination.Rows == 1 || destination.RowStride == destination.Columns;
        if (isDense && pitchBytes != rowBytes)
        {
            // The rows move together in the slot, so that they leave it by one call: never backwards, so none is lost.
            for (var row = 1; row < destination.Rows; row++)
            {
                _slot.AsSpan(offset + (int)(row * pitchBytes), rowBytes).CopyTo(_slot.AsSpan(offset + (row * rowBytes)));
            }
        }

        if (isDense)
        {
            file.Write(destination.OffsetBytes, _slot.AsSpan(offset, destination.Rows * rowBytes));
            return;
        }

        for (var row = 0; row < destination.Rows; row++)
        {
            file.Write(destination.RowsAt(row, 1).OffsetBytes, _slot.AsSpan(offset + (int)(row * pitchBytes), rowBytes));
        }
    }

    public void Finish()
    {
    }

    public void Dispose()
    {
    }
}
