namespace TensorParallel.Worker.Devices;

/// <content>Memory reports, and memory that is given back for a while.</content>
internal sealed unsafe partial class CpuDevice
{
    public void ResetPeaks()
    {
        lock (_lock)
        {
            _current.CopyTo(_peak, 0);
        }
    }

    public DeviceMemory Memory()
    {
        lock (_lock)
        {
            return new DeviceMemory(_budget, Math.Max(0, _budget - _current.Sum()), 0);
        }
    }

    // Buffers move: operations ask for addresses each time, and nothing is recorded.
    public MovedMemory Evict()
    {
        lock (_lock)
        {
            long freed = 0, copied = 0;
            foreach (var buffer in _buffers.Where(b => IsEvictable(b.Purpose) && !b.IsEvicted))
            {
                copied += buffer.Evict(keep: buffer.Purpose == MemoryPurpose.Weights);
                _current[(int)buffer.Purpose] -= buffer.Bytes;
                freed += buffer.Bytes;
            }

            return new MovedMemory(freed, copied);
        }
    }

    public MovedMemory Restore()
    {
        lock (_lock)
        {
            long taken = 0, copied = 0;
            foreach (var buffer in _buffers.Where(b => b.IsEvicted))
            {
                copied += buffer.Restore(Take(buffer.Bytes, buffer.Purpose));
                taken += buffer.Bytes;
            }

            return new MovedMemory(taken, copied);
        }
    }

    private static bool IsEvictable(MemoryPurpose purpose) => purpose is MemoryPurpose.Weights or MemoryPurpose.KvCache;
}
