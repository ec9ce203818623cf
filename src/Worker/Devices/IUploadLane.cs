namespace TensorParallel.Worker.Devices;

/// <summary>
/// One loader thread's way to a device: slots of host memory in rotation, filled by the thread and copied behind its back. While the
/// thread fills one slot, the copies out of the others run. Used by one thread; dispose it before its device.
/// </summary>
internal interface IUploadLane : IDisposable
{
    /// <summary>Bytes of a slot.</summary>
    int SlotBytes { get; }

    /// <summary>Slots in rotation: what was queued from a slot is on the device when the slot's turn comes again.</summary>
    int Slots { get; }

    /// <summary>The next slot, to be filled until the next call; waits until the copies out of it have ended.</summary>
    Span<byte> NextSlot();

    /// <summary>
    /// Queues the copy of a rectangle out of the present slot: as many rows of as many bytes as <paramref name="destination"/> has.
    /// </summary>
    /// <param name="offset">Byte of the slot at which the first row begins.</param>
    /// <param name="pitchBytes">Bytes of the slot from one row to the next.</param>
    /// <param name="destination">Where it belongs, on the lane's device.</param>
    void Copy(int offset, long pitchBytes, Tensor destination);

    /// <summary>Returns when everything queued is on the device.</summary>
    void Finish();
}
