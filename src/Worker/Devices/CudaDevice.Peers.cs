using TensorParallel.Worker.Native;
using static TensorParallel.Worker.Native.CudaDriver;

namespace TensorParallel.Worker.Devices;

internal sealed unsafe partial class CudaDevice
{
    /// <summary>Bytes of <see cref="Uuid"/>.</summary>
    internal const int UuidBytes = 16;

    /// <summary>What names this GPU in every process.</summary>
    public byte[] Uuid() => UuidOf(_handle);

    /// <summary>Whether everything issued so far is done. A broken context counts as done: whoever uses it is told.</summary>
    public bool IsIdle
    {
        get
        {
            MakeCurrent();
            return cuStreamQuery(Stream) != CUDA_ERROR_NOT_READY;
        }
    }

    /// <summary>Why kernels of this GPU cannot reach the memory of another one of this host, or null.</summary>
    /// <param name="uuid">The other one.</param>
    public string? WhyUnreachable(ReadOnlySpan<byte> uuid)
    {
        if (HandleOf(uuid) is not { } peer)
        {
            return $"{Name} does not see the peer's GPU, see CUDA_VISIBLE_DEVICES";
        }

        int can;
        Check(cuDeviceCanAccessPeer(&can, _handle, peer));
        return can != 0 ? null : $"{Name} ({Model}) has no peer access to {ReadName(peer)}";
    }

    /// <summary>
    /// Memory of this GPU that kernels of it and of other GPUs of this process may use: only this memory, other allocations stay
    /// this GPU's own (freeing one would else wait for the others' kernels).
    /// </summary>
    /// <param name="bytes">Bytes wanted.</param>
    /// <param name="uuids">The other GPUs.</param>
    public CudaProcessMemory AllocateForProcess(long bytes, IEnumerable<byte[]> uuids)
    {
        MakeCurrent();
        var peers = uuids.Select(u => HandleOf(u) ?? throw new NativeException($"{Name} does not see the peer's GPU."));
        return new CudaProcessMemory(this, [_handle, .. peers], bytes);
    }

    private static byte[] UuidOf(int handle)
    {
        CUuuid uuid;
        Check(cuDeviceGetUuid(&uuid, handle));
        return new ReadOnlySpan<byte>(&uuid, UuidBytes).ToArray();
    }

    private static int? HandleOf(ReadOnlySpan<byte> uuid)
    {
        int count;
        Check(cuDeviceGetCount(&count));
        for (var ordinal = 0; ordinal < count; ordinal++)
        {
            int handle;
            Check(cuDeviceGet(&handle, ordinal));
            if (uuid.SequenceEqual(UuidOf(handle)))
            {
                return handle;
            }
        }

        return null;
    }
}
