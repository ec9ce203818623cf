using System.Runtime.InteropServices;

namespace TensorParallel.Worker.Devices;

/// <summary>Native memory of a <see cref="CpuDevice"/>, a part of such a buffer, or memory of another's; it outlives no device.</summary>
internal sealed unsafe class CpuBuffer : DeviceBuffer
{
    private readonly CpuDevice _device;
    private readonly CpuBuffer? _whole;
    private readonly long _offset;
    private readonly bool _isForeign;
    private void* _memory;
    private void* _evicted;
    private bool _disposed;

    /// <summary>
    /// Takes over <paramref name="memory"/>, which came from <see cref="NativeMemory.AlignedAlloc"/>.
    /// </summary>
    internal CpuBuffer(CpuDevice device, void* memory, long bytes, MemoryPurpose purpose)
        : base(bytes, purpose)
    {
        _device = device;
        _memory = memory;
    }

    /// <summary>Memory that stays another's, at <paramref name="address"/>.</summary>
    internal CpuBuffer(CpuDevice device, nint address, long bytes)
        : base(bytes, MemoryPurpose.HostWeights)
    {
        _device = device;
        _isForeign = true;
        _memory = (void*)address;
    }

    private CpuBuffer(CpuBuffer whole, long offset, long bytes)
        : base(bytes, whole.Purpose)
    {
        _device = whole._device;
        _whole = whole;
        _offset = offset;
    }

    /// <summary>The device that allocated it.</summary>
    public CpuDevice Device => _device;

    public override nint Address
    {
        get
        {
            if (_whole is not null)
            {
                return _whole.Address + (nint)_offset;
            }

            ObjectDisposedException.ThrowIf(_disposed, this);
            return _memory is not null
                ? (nint)_memory
                : throw new InvalidOperationException($"{_device.Name}: {Purpose} was used while it was evicted.");
        }
    }

    public override bool IsHostMemory => true;

    /// <summary>Whether the device memory is given back.</summary>
    public bool IsEvicted => !_disposed && _whole is null && _memory is null;

    public override DeviceBuffer Slice(long offset, long bytes)
    {
        CheckRange(offset, bytes);
        return new CpuBuffer(_whole ?? this, _offset + offset, bytes);
    }

    public override void Dispose()
    {
        if (!_disposed && _whole is null && !_isForeign)
        {
            _device.Forget(this);
            NativeMemory.AlignedFree(_memory);
            NativeMemory.Free(_evicted);
            _memory = _evicted = null;
            _disposed = true;
        }
    }

    /// <summary>Gives the memory back, its contents to host memory first where they are kept; bytes copied.</summary>
    internal long Evict(bool keep)
    {
        if (keep)
        {
            _evicted = NativeMemory.Alloc((nuint)Bytes);
            NativeMemory.Copy(_memory, _evicted, (nuint)Bytes);
        }

        NativeMemory.AlignedFree(_memory);
        _memory = null;
        return keep ? Bytes : 0;
    }

    /// <summary>Takes over memory in place of what was given back, and fills it with what was kept; bytes copied.</summary>
    internal long Restore(void* memory)
    {
        _memory = memory;
        if (_evicted is null)
        {
            return 0;
        }

        NativeMemory.Copy(_evicted, _memory, (nuint)Bytes);
        NativeMemory.Free(_evicted);
        _evicted = null;
        return Bytes;
    }
}
