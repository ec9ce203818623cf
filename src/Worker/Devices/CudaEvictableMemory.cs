using TensorParallel.Worker.Native;
using static TensorParallel.Worker.Native.CudaDriver;

namespace TensorParallel.Worker.Devices;

/// <summary>
/// Memory of one purpose that can be taken off the device: a range of addresses, reserved once, behind which stand pieces of device
/// memory. Buffers are placed one after the other, and the range grows by a piece where one does not fit. Eviction gives back the pieces
/// and keeps the addresses, so that tensors and recorded graphs stay valid. Addresses of buffers that were freed are used again once all
/// are. Used by one thread; the device's context must be current.
/// </summary>
/// <param name="device">The device.</param>
/// <param name="handle">Its CUdevice.</param>
/// <param name="purpose">What for.</param>
/// <param name="keeps">Whether contents outlast an eviction. They must not change after the first one: they are copied once.</param>
internal sealed unsafe class CudaEvictableMemory(CudaDevice device, int handle, MemoryPurpose purpose, bool keeps) : IDisposable
{
    private const long Alignment = 256;

    private readonly List<Piece> _pieces = [];
    private nuint _granularity;
    private nuint _reserved;
    private ulong _address;
    private long _used;
    private int _buffers;
    private byte* _kept;
    private long _keptBytes;
    private long _room;

    /// <summary>The device memory is given back.</summary>
    public bool IsEvicted { get; private set; }

    /// <summary>Bytes of the pieces: what buffers take, rounded up to pieces, of 2 MiB on today's GPUs.</summary>
    private long MappedBytes => _pieces.Sum(piece => (long)piece.Bytes);

    /// <summary>
    /// Memory for a buffer, aligned to 256 bytes; null where the device has too little. Example: after 3 MiB in two pieces of 2 MiB a
    /// buffer of 5 MiB begins at 3 MiB and adds one piece of 4 MiB.
    /// </summary>
    public ulong? Place(long bytes)
    {
        if (IsEvicted)
        {
            throw new InvalidOperationException($"{device.Name}: nothing can be allocated for {purpose} while it is evicted.");
        }

        Reserve();
        var end = _used + ((Math.Max(1, bytes) + Alignment - 1) / Alignment * Alignment);
        var missing = end - MappedBytes;
        if (missing > 0)
        {
            var piece = new Piece((nuint)MappedBytes, RoundUp((nuint)missing));
            if (piece.Offset + piece.Bytes > _reserved || !Map(piece))
            {
                return null;
            }

            _pieces.Add(piece);
        }

        var place = _address + (ulong)_used;
        _used = end;
        _buffers++;
        return place;
    }

    /// <summary>A buffer is freed; the last one takes the memory with it.</summary>
    public void Leave()
    {
        if (--_buffers == 0)
        {
            // As freeing does: kernels may still use it.
            device.Synchronize();
            Clear();
        }
    }

    /// <summary>Gets the host memory that <see cref="Evict"/> copies to, so that only this can fail for want of memory.</summary>
    /// <exception cref="DeviceMemoryException">The host has too little.</exception>
    public void PrepareToEvict()
    {
        if (!keeps || IsEvicted || _room >= _used)
        {
            return;
        }

        FreeKept();
        try
        {
            _kept = CudaPinnedMemory.Allocate(_used, $"for what is evicted from {device.Name}");
            _room = _used;
        }
        catch (NativeException e) when (e.Status == CUDA_ERROR_OUT_OF_MEMORY)
        {
            throw new DeviceMemoryException(
                $"The host has too little memory to evict {_used:N0} bytes of {purpose} from {device.Name}: {e.Message}");
        }
    }

    /// <summary>Gives the device memory back; nothing may be under way on it. Bytes copied to the host.</summary>
    public long Evict()
    {
        if (IsEvicted || _pieces.Count == 0)
        {
            return 0;
        }

        var copied = keeps && _keptBytes < _used ? Copy((host, piece, bytes) => cuMemcpyDtoHAsync(host, piece, bytes, device.Stream)) : 0;
        _keptBytes = Math.Max(_keptBytes, copied);
        device.Synchronize();
        foreach (var piece in _pieces)
        {
            Unmap(piece);
        }

        IsEvicted = true;
        return copied;
    }

    /// <summary>Takes the memory again; bytes whose copies back are under way on the device's stream, or null: it has too little.</summary>
    public long? Restore()
    {
        if (!IsEvicted)
        {
            return 0;
        }

        foreach (var piece in _pieces)
        {
            if (!Map(piece))
            {
                _pieces.ForEach(Unmap);
                return null;
            }
        }

        IsEvicted = false;
        return keeps ? Copy((host, piece, bytes) => cuMemcpyHtoDAsync(piece, host, bytes, device.Stream)) : 0;
    }

    public void Dispose() => Disposal.Run(Clear, FreeAddresses);

    private delegate int CopyPiece(void* host, ulong piece, nuint bytes);

    // Piece by piece, as far as buffers reach.
    private long Copy(CopyPiece copy)
    {
        foreach (var piece in _pieces)
        {
            var bytes = Math.Min(piece.Bytes, (nuint)_used - piece.Offset);
            Check(copy(_kept + piece.Offset, _address + piece.Offset, bytes), $"copying evicted memory of {device.Name}");
        }

        return _used;
    }

    // Addresses cost nothing: as many as the device has bytes.
    private void Reserve()
    {
        if (_address != 0)
        {
            return;
        }

        var properties = Properties();
        nuint granularity, total;
        Check(cuMemGetAllocationGranularity(&granularity, &properties, CU_MEM_ALLOC_GRANULARITY_RECOMMENDED));
        Check(cuDeviceTotalMem(&total, handle));
        _granularity = granularity;
        _reserved = RoundUp(total);
        ulong address;
        Check(cuMemAddressReserve(&address, _reserved, 0, 0, 0));
        _address = address;
    }

    private bool Map(Piece piece)
    {
        var properties = Properties();
        ulong memory;
        var status = cuMemCreate(&memory, piece.Bytes, &properties, 0);
        if (status == CUDA_ERROR_OUT_OF_MEMORY)
        {
            return false;
        }

        Check(status, $"cuMemCreate of {piece.Bytes:N0} bytes for {purpose} on {device.Name}");
        piece.Memory = memory;
        try
        {
            Check(cuMemMap(_address + piece.Offset, piece.Bytes, 0, memory, 0));
            piece.IsMapped = true;
            var access = new CUmemAccessDesc { location = properties.location, flags = CU_MEM_ACCESS_FLAGS_PROT_READWRITE };
            Check(cuMemSetAccess(_address + piece.Offset, piece.Bytes, &access, 1));
            return true;
        }
        catch
        {
            Unmap(piece);
            throw;
        }
    }

    private void Unmap(Piece piece)
    {
        Disposal.Run(
            () =>
            {
                if (piece.IsMapped)
                {
                    Check(cuMemUnmap(_address + piece.Offset, piece.Bytes));
                    piece.IsMapped = false;
                }
            },
            () =>
            {
                if (piece.Memory != 0)
                {
                    Check(cuMemRelease(piece.Memory));
                    piece.Memory = 0;
                }
            });
    }

    private void Clear()
    {
        Piece[] pieces = [.. _pieces];
        _pieces.Clear();
        _used = 0;
        IsEvicted = false;
        Disposal.Run([.. pieces.Select(piece => (Action)(() => Unmap(piece))), FreeKept]);
    }

    private void FreeAddresses()
    {
        if (_address != 0)
        {
            Check(cuMemAddressFree(_address, _reserved));
            _address = 0;
        }
    }

    private void FreeKept()
    {
        if (_kept != null)
        {
            var kept = _kept;
            _kept = null;
            _keptBytes = _room = 0;
            Check(CudaPinnedMemory.Free(kept));
        }
    }

    private nuint RoundUp(nuint bytes) => (bytes + _granularity - 1) / _granularity * _granularity;

    private CUmemAllocationProp Properties() => new()
    {
        type = CU_MEM_ALLOCATION_TYPE_PINNED,
        location = new CUmemLocation { type = CU_MEM_LOCATION_TYPE_DEVICE, id = handle },
    };

    /// <summary>Device memory behind a part of the range.</summary>
    private sealed class Piece(nuint offset, nuint bytes)
    {
        public nuint Offset => offset;

        public nuint Bytes => bytes;

        /// <summary>CUmemGenericAllocationHandle; 0: given back.</summary>
        public ulong Memory { get; set; }

        public bool IsMapped { get; set; }
    }
}
