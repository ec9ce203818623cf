using TensorParallel.Worker.Native;
using static TensorParallel.Worker.Native.CudaDriver;

namespace TensorParallel.Worker.Devices;

/// <content>Weights that are off the device.</content>
internal sealed unsafe partial class CudaDevice
{
    // Whether the stream waits for something that the next kernel must not overtake.
    private bool _isHeld;

    /// <summary>Pinned memory at one address for the host and for kernels, which read it over the bus.</summary>
    public DeviceBuffer AllocateHost(long bytes)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(bytes);
        MakeCurrent();
        byte* memory;
        try
        {
            memory = CudaPinnedMemory.Allocate(Math.Max(1, bytes), "for weights that are off the device", CU_MEMHOSTALLOC_DEVICEMAP);
        }
        catch (NativeException e) when (e.Status is CUDA_ERROR_OUT_OF_MEMORY or CUDA_ERROR_OPERATING_SYSTEM)
        {
            throw new DeviceMemoryException(
                $"{Name}: {bytes:N0} bytes of host memory for weights that are off the device cannot be pinned, after {PinnedBytes:N0} " +
                $"that were: {e.Message} Leave less to the host (--max-memory cpu=…), use more GPUs or a smaller --dtype, " +
                "raise the limit that \"ulimit -l\" shows, or that of the container.");
        }

        var buffer = new CudaBuffer(this, (ulong)memory, bytes, MemoryPurpose.HostWeights, isHostMemory: true);
        Note(buffer);
        if (_poison)
        {
            new Span<byte>(memory, (int)Math.Min(bytes, int.MaxValue)).Fill(0xFF);
        }

        return buffer;
    }

    public ICopyQueue OpenCopyQueue() => new CudaCopyQueue(this, _poison);

    /// <summary>
    /// What is issued from now on waits for an event of another stream. The next kernel then starts when all before it has ended: it
    /// might else begin beside its predecessor, before the event, and read weights that are still on their way. Kernels behind it may
    /// begin early again, for it has begun by then.
    /// </summary>
    internal void AwaitEvent(nint handle)
    {
        MakeCurrent();
        Check(cuStreamWaitEvent(Stream, handle, 0));
        _isHeld = true;
    }

    private long PinnedBytes
    {
        get
        {
            lock (_lock)
            {
                return _currentBytes[(int)MemoryPurpose.HostWeights];
            }
        }
    }
}
