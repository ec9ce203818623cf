using TensorParallel.Protocol.Checkpoints;

namespace TensorParallel.Worker.Devices;

/// <summary>The lane of any device: pageable memory, copied by <see cref="IDevice.CopyToDevice"/> before a call returns.</summary>
internal sealed class HostUploadLane(IDevice device, int slotBytes) : IUploadLane
{
    private byte[]? _slot;

    public int SlotBytes => slotBytes;

    public int Slots => 1;

    // Made at the first use: a lane whose thread reads straight into the target never needs it.
    public Span<byte> NextSlot() => _slot ??= GC.AllocateUninitializedArray<byte>(slotBytes);

    public void Copy(int offset, long pitchBytes, Tensor destination)
    {
        var rowBytes = destination.Columns * destination.DType.SizeInBytes();
        var source = NextSlot()[offset..];
        if (destination.Rows == 1 || (pitchBytes == rowBytes && destination.RowStride == destination.Columns))
        {
            device.CopyToDevice(source[..(rowBytes * destination.Rows)], destination.Buffer, destination.OffsetBytes);
            return;
        }

        for (var row = 0; row < destination.Rows; row++)
        {
            var place = destination.RowsAt(row, 1);
            device.CopyToDevice(source.Slice((int)(row * pitchBytes), rowBytes), place.Buffer, place.OffsetBytes);
        }
    }

    public void Finish()
    {
    }

    public void Dispose() => _slot = null;
}
