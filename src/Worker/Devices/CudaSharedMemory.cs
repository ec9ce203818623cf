using System.Runtime.InteropServices;
using TensorParallel.Worker.Native;
using static TensorParallel.Worker.Native.CudaDriver;

namespace TensorParallel.Worker.Devices;

/// <summary>
/// Memory of another process's GPU mapped into this process by CUDA IPC. The owner exports a buffer as 64 opaque bytes; a peer
/// opens them. Both GPUs must have peer access; the owner must keep the buffer until peers have closed it.
/// </summary>
internal sealed unsafe class CudaSharedMemory : IDisposable
{
    /// <summary>Bytes of an exported handle.</summary>
    public const int HandleBytes = 64;

    private readonly CudaDevice _device;
    private ulong _address;

    private CudaSharedMemory(CudaDevice device, ulong address)
    {
        _device = device;
        _address = address;
    }

    /// <summary>Address of the peer's memory, to be followed by kernels of the device that opened it.</summary>
    public nint Address
    {
        get
        {
            ObjectDisposedException.ThrowIf(_address == 0, this);
            return (nint)_address;
        }
    }

    /// <summary>Exports a whole buffer for other processes.</summary>
    public static byte[] Export(CudaBuffer buffer)
    {
        buffer.Device.MakeCurrent();
        CUipcMemHandle handle;
        Check(cuIpcGetMemHandle(&handle, (ulong)buffer.Address));
        return new ReadOnlySpan<byte>(&handle, HandleBytes).ToArray();
    }

    /// <summary>Maps what another process exported.</summary>
    /// <exception cref="NativeException">The GPUs have no peer access, or the handle is this process's own.</exception>
    public static CudaSharedMemory Open(CudaDevice device, ReadOnlySpan<byte> handle)
    {
        if (handle.Length != HandleBytes)
        {
            throw new ArgumentException($"A CUDA memory handle has {HandleBytes} bytes, not {handle.Length}.", nameof(handle));
        }

        device.MakeCurrent();
        ulong address;
        Check(cuIpcOpenMemHandle(&address, MemoryMarshal.Read<CUipcMemHandle>(handle), CU_IPC_MEM_LAZY_ENABLE_PEER_ACCESS));
        return new CudaSharedMemory(device, address);
    }

    public void Dispose()
    {
        if (_address != 0)
        {
            _device.MakeCurrent();
            Check(cuIpcCloseMemHandle(_address));
            _address = 0;
        }
    }
}
