using TensorParallel.Worker.Native;
using static TensorParallel.Worker.Native.CudaDriver;

namespace TensorParallel.Worker.Devices;

internal sealed unsafe partial class CudaDevice
{
    private readonly Lock _lock = new();
    private readonly HashSet<CudaBuffer> _buffers = [];
    private readonly long[] _currentBytes = new long[Enum.GetValues<MemoryPurpose>().Length];
    private readonly long[] _peakBytes = new long[Enum.GetValues<MemoryPurpose>().Length];

    /// <summary>Bytes of the GPU that nobody uses, other processes included.</summary>
    public long FreeBytes
    {
        get
        {
            MakeCurrent();
            nuint free, total;
            Check(cuMemGetInfo(&free, &total));
            return (long)free;
        }
    }

    long? IDevice.FreeMemoryBytes => FreeBytes;

    public DeviceBuffer Allocate(long bytes, MemoryPurpose purpose)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(bytes);
        MakeCurrent();
        var evictable = _evictable.GetValueOrDefault(purpose);
        var address = (evictable is null ? AllocateFixed(bytes, purpose) : evictable.Place(bytes)) ?? throw TooLittle(bytes, purpose);
        var buffer = new CudaBuffer(this, address, bytes, purpose, evictable);
        Note(buffer);
        if (_poison && bytes > 0)
        {
            Check(cuMemsetD8Async(address, 0xFF, (nuint)bytes, Stream));
        }

        return buffer;
    }

    public void CopyToDevice(ReadOnlySpan<byte> source, DeviceBuffer target, long offset)
    {
        var address = Range(target, offset, source.Length);
        RefuseWhileCapturing();
        MakeCurrent();
        _staging.ToDevice(source, address);
    }

    public void CopyToHost(DeviceBuffer source, long offset, Span<byte> target)
    {
        var address = Range(source, offset, target.Length);
        RefuseWhileCapturing();
        MakeCurrent();
        _staging.ToHost(address, target);
    }

    public IUploadLane OpenUploadLane(int slotBytes) => new CudaUploadLane(this, slotBytes);

    public IPendingCopy CopyToHostLater(DeviceBuffer source, long offset, int bytes)
    {
        var address = Range(source, offset, bytes);
        RefuseWhileCapturing();
        MakeCurrent();
        return _readback.Begin(address, bytes);
    }

    public void Copy(DeviceBuffer source, long sourceOffset, DeviceBuffer target, long targetOffset, long bytes)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(bytes);
        var (from, to) = (Range(source, sourceOffset, bytes), Range(target, targetOffset, bytes));
        MakeCurrent();
        if (bytes > 0)
        {
            Check(cuMemcpyDtoDAsync(to, from, (nuint)bytes, Stream));
        }
    }

    public void Clear(DeviceBuffer target, long offset, long bytes)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(bytes);
        var address = Range(target, offset, bytes);
        MakeCurrent();
        if (bytes > 0)
        {
            Check(cuMemsetD8Async(address, 0, (nuint)bytes, Stream));
        }
    }

    public IReadOnlyList<MemoryUse> MemoryUse()
    {
        lock (_lock)
        {
            return [.. Enum.GetValues<MemoryPurpose>().Select(p => new MemoryUse(p, _currentBytes[(int)p], _peakBytes[(int)p]))];
        }
    }

    private void Note(CudaBuffer buffer)
    {
        lock (_lock)
        {
            var purpose = (int)buffer.Purpose;
            _buffers.Add(buffer);
            _currentBytes[purpose] += buffer.Bytes;
            _peakBytes[purpose] = Math.Max(_peakBytes[purpose], _currentBytes[purpose]);
        }
    }

    /// <summary>Takes a buffer off the books and makes the context current; called by the buffer when it is disposed.</summary>
    internal void Forget(CudaBuffer buffer)
    {
        MakeCurrent();
        lock (_lock)
        {
            _buffers.Remove(buffer);
            _currentBytes[(int)buffer.Purpose] -= buffer.IsEvicted ? 0 : buffer.Bytes;
        }
    }

    private static ulong? AllocateFixed(long bytes, MemoryPurpose purpose)
    {
        ulong address;
        var status = cuMemAlloc(&address, (nuint)Math.Max(1, bytes));
        if (status == CUDA_ERROR_OUT_OF_MEMORY)
        {
            return null;
        }

        Check(status, $"cuMemAlloc of {bytes:N0} bytes for {purpose}");
        return address;
    }

    private DeviceMemoryException TooLittle(long bytes, MemoryPurpose purpose) => new(
        $"{Name} ({Model}) has too little memory: {bytes:N0} bytes wanted for {purpose}, {FreeBytes:N0} free, " +
        $"{Math.Max(0, bytes - FreeBytes):N0} missing; use more GPUs, a smaller --max-context or a smaller --dtype, or end " +
        "other processes on it.");

    // The driver would refuse as well, but in words that tell nobody which copy it was.
    private void RefuseWhileCapturing()
    {
        if (IsCapturing)
        {
            throw new NativeException($"A copy between the host and {Name} cannot be part of a graph.");
        }
    }

    private void DisposeBuffers()
    {
        CudaBuffer[] owned;
        lock (_lock)
        {
            owned = [.. _buffers];
        }

        Disposal.Of(owned);
    }

    /// <summary>Address of a range of a buffer of this device; throws where it is another's or the range does not lie in it.</summary>
    internal ulong Range(DeviceBuffer buffer, long offset, long bytes)
    {
        if (buffer is not CudaBuffer own || own.Device != this)
        {
            throw new ArgumentException($"The buffer does not belong to {Name}.", nameof(buffer));
        }

        if (own.IsEvicted)
        {
            throw new InvalidOperationException($"{Name}: {buffer.Purpose} was used while it was evicted.");
        }

        ArgumentOutOfRangeException.ThrowIfNegative(offset);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(offset, buffer.Bytes - bytes);
        return (ulong)buffer.Address + (ulong)offset;
    }
}
