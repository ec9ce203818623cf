using static TensorParallel.Worker.Native.CudaDriver;

namespace TensorParallel.Worker.Devices;

/// <summary>
/// Memory of one GPU mapped for several GPUs of this process at one address. It stands beside the device's books: groups of one
/// process are for tests and tools, workers use <see cref="CudaSharedMemory"/>.
/// </summary>
internal sealed unsafe class CudaProcessMemory : IDisposable
{
    private readonly CudaDevice _device;
    private readonly nuint _bytes;
    private ulong _memory;
    private ulong _address;
    private bool _isMapped;

    /// <summary>Allocates; the device's context must be current.</summary>
    /// <param name="device">The owner.</param>
    /// <param name="handles">CUdevices that may use it, the owner's first.</param>
    /// <param name="bytes">Bytes wanted.</param>
    internal CudaProcessMemory(CudaDevice device, IReadOnlyList<int> handles, long bytes)
    {
        _device = device;
        var properties = new CUmemAllocationProp { type = CU_MEM_ALLOCATION_TYPE_PINNED, location = Location(handles[0]) };
        nuint granularity;
        Check(cuMemGetAllocationGranularity(&granularity, &properties, 0));
        _bytes = ((nuint)bytes + granularity - 1) / granularity * granularity;
        try
        {
            ulong memory, address;
            Check(cuMemCreate(&memory, _bytes, &properties, 0));
            _memory = memory;
            Check(cuMemAddressReserve(&address, _bytes, 0, 0, 0));
            _address = address;
            Check(cuMemMap(_address, _bytes, 0, _memory, 0));
            _isMapped = true;
            var access = handles
                .Select(h => new CUmemAccessDesc { location = Location(h), flags = CU_MEM_ACCESS_FLAGS_PROT_READWRITE }).ToArray();
            fixed (CUmemAccessDesc* first = access)
            {
                Check(cuMemSetAccess(_address, _bytes, first, (nuint)access.Length));
            }

            Check(cuMemsetD8Async(_address, 0, _bytes, device.Stream));
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>Valid on every GPU that was named. The memory is zero once what was issued so far is done.</summary>
    public nint Address
    {
        get
        {
            ObjectDisposedException.ThrowIf(_address == 0, this);
            return (nint)_address;
        }
    }

    public void Dispose()
    {
        _device.MakeCurrent();
        Disposal.Run(Unmap, FreeAddress, Release);
    }

    private void Unmap()
    {
        if (_isMapped)
        {
            Check(cuMemUnmap(_address, _bytes));
            _isMapped = false;
        }
    }

    private void FreeAddress()
    {
        if (_address != 0)
        {
            Check(cuMemAddressFree(_address, _bytes));
            _address = 0;
        }
    }

    private void Release()
    {
        if (_memory != 0)
        {
            Check(cuMemRelease(_memory));
            _memory = 0;
        }
    }

    private static CUmemLocation Location(int device) => new() { type = CU_MEM_LOCATION_TYPE_DEVICE, id = device };
}
