using static TensorParallel.Worker.Native.CudaDriver;

namespace TensorParallel.Worker.Devices;

/// <content>Memory reports, and memory that is given back for a while.</content>
internal sealed unsafe partial class CudaDevice
{
    private readonly Dictionary<MemoryPurpose, CudaEvictableMemory> _evictable = [];

    public void ResetPeaks()
    {
        lock (_lock)
        {
            _currentBytes.CopyTo(_peakBytes, 0);
        }
    }

    public DeviceMemory Memory()
    {
        MakeCurrent();
        nuint free, total;
        Check(cuMemGetInfo(&free, &total));
        return new DeviceMemory((long)total, (long)free, CudaPinnedMemory.TotalBytes);
    }

    public MovedMemory Evict()
    {
        CheckEvictable();
        Synchronize();
        foreach (var memory in _evictable.Values)
        {
            memory.PrepareToEvict();
        }

        var (freed, copied) = (0L, 0L);
        foreach (var (purpose, memory) in _evictable)
        {
            var wasEvicted = memory.IsEvicted;
            copied += memory.Evict();
            freed += memory.IsEvicted && !wasEvicted ? Count(purpose, -1) : 0;
        }

        return new MovedMemory(freed, copied);
    }

    public MovedMemory Restore()
    {
        CheckEvictable();
        MakeCurrent();
        var (taken, copied) = (0L, 0L);
        foreach (var (purpose, memory) in _evictable)
        {
            if (memory.IsEvicted)
            {
                copied += memory.Restore() ?? throw TooLittle(BytesOf(purpose), purpose);
                taken += Count(purpose, +1);
            }
        }

        Poison();
        Synchronize();
        return new MovedMemory(taken, copied);
    }

    private void MakeEvictable(int handle)
    {
        _evictable[MemoryPurpose.Weights] = new CudaEvictableMemory(this, handle, MemoryPurpose.Weights, keeps: true);
        _evictable[MemoryPurpose.KvCache] = new CudaEvictableMemory(this, handle, MemoryPurpose.KvCache, keeps: false);
    }

    private void CheckEvictable()
    {
        if (_evictable.Count == 0)
        {
            throw new NotSupportedException($"{Name} was not opened for eviction.");
        }
    }

    private long BytesOf(MemoryPurpose purpose) => _buffers.Where(b => b.Purpose == purpose).Sum(b => b.Bytes);

    // All buffers of the purpose come or go; their bytes.
    private long Count(MemoryPurpose purpose, int sign)
    {
        lock (_lock)
        {
            var bytes = BytesOf(purpose);
            _currentBytes[(int)purpose] += sign * bytes;
            _peakBytes[(int)purpose] = Math.Max(_peakBytes[(int)purpose], _currentBytes[(int)purpose]);
            return bytes;
        }
    }

    // The KV cache is as fresh memory is.
    private void Poison()
    {
        foreach (var buffer in _buffers.Where(b => _poison && b.Purpose == MemoryPurpose.KvCache && b.Bytes > 0))
        {
            Check(cuMemsetD8Async((ulong)buffer.Address, 0xFF, (nuint)buffer.Bytes, Stream));
        }
    }
}
