using TensorParallel.Protocol.Checkpoints;
using static TensorParallel.Worker.Native.CudaDriver;

namespace TensorParallel.Worker.Devices;

/// <summary>
/// Two slots of pinned memory and a stream of their own. Files are read into a slot directly, so a byte passes through host memory
/// once; the bus takes it from there while the thread reads on. Example: 16 threads with slots of 4 MiB pin 128 MiB.
/// </summary>
internal sealed unsafe class CudaUploadLane : IUploadLane
{
    private const int SlotCount = 2;

    private readonly CudaDevice _device;
    private readonly nint[] _copied = new nint[SlotCount];
    private nint _stream;
    private byte* _memory;
    private int _slot;

    /// <summary>Pins the slots. Waits for the device's own stream first: what it still does to fresh memory precedes all copies.</summary>
    public CudaUploadLane(CudaDevice device, int slotBytes)
    {
        _device = device;
        SlotBytes = slotBytes;
        device.Synchronize();
        try
        {
            _memory = CudaPinnedMemory.Allocate((long)SlotCount * slotBytes, "to load through");
            nint stream;
            Check(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
            _stream = stream;
            for (var i = 0; i < SlotCount; i++)
            {
                nint copied;
                Check(cuEventCreate(&copied, CU_EVENT_DISABLE_TIMING | CU_EVENT_BLOCKING_SYNC));
                _copied[i] = copied;
            }
        }
        catch
        {
            Free();
            throw;
        }
    }

    public int SlotBytes { get; }

    public int Slots => SlotCount;

    public Span<byte> NextSlot()
    {
        _device.MakeCurrent();
        Check(cuEventRecord(_copied[_slot], _stream));
        _slot = (_slot + 1) % SlotCount;
        Check(cuEventSynchronize(_copied[_slot])); // one that was never recorded counts as reached
        return new Span<byte>(_memory + ((long)_slot * SlotBytes), SlotBytes);
    }

    public void Copy(int offset, long pitchBytes, Tensor destination)
    {
        var element = destination.DType.SizeInBytes();
        var (rows, rowBytes) = (destination.Rows, (long)destination.Columns * element);
        var targetPitch = (long)destination.RowStride * element;
        ArgumentOutOfRangeException.ThrowIfNegative(offset);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(offset + ((rows - 1) * pitchBytes) + rowBytes, SlotBytes, nameof(offset));
        var target = _device.Range(destination.Buffer, destination.OffsetBytes, ((rows - 1) * targetPitch) + rowBytes);
        var source = _memory + ((long)_slot * SlotBytes) + offset;
        _device.MakeCurrent();
        if (rows == 1 || (pitchBytes == rowBytes && targetPitch == rowBytes))
        {
            Check(cuMemcpyHtoDAsync(target, source, (nuint)(rows * rowBytes), _stream));
            return;
        }

        var rectangle = new CUDA_MEMCPY2D
        {
            srcMemoryType = CU_MEMORYTYPE_HOST,
            srcHost = source,
            srcPitch = (nuint)pitchBytes,
            dstMemoryType = CU_MEMORYTYPE_DEVICE,
            dstDevice = target,
            dstPitch = (nuint)targetPitch,
            WidthInBytes = (nuint)rowBytes,
            Height = (nuint)rows,
        };
        Check(cuMemcpy2DAsync(&rectangle, _stream));
    }

    public void Finish()
    {
        _device.MakeCurrent();
        Check(cuStreamSynchronize(_stream));
    }

    public void Dispose()
    {
        if (_memory != null)
        {
            _device.MakeCurrent();
            Free();
        }
    }

    // After a failure the context may be spoilt and every call says so again; the copy that failed first has said it already.
    private void Free()
    {
        if (_stream != 0)
        {
            _ = cuStreamSynchronize(_stream); // the slots may not go while copies read them
            _ = cuStreamDestroy(_stream);
            _stream = 0;
        }

        foreach (var copied in _copied.Where(e => e != 0))
        {
            _ = cuEventDestroy(copied);
        }

        Array.Clear(_copied);
        if (_memory != null)
        {
            _ = CudaPinnedMemory.Free(_memory);
            _memory = null;
        }
    }
}
