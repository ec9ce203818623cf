using System.Collections.Concurrent;
using TensorParallel.Worker.Native;
using static TensorParallel.Worker.Native.CudaDriver;

namespace TensorParallel.Worker.Devices;

/// <summary>Host memory pinned by this process, counted. Thread-safe; a context must be current.</summary>
internal static unsafe class CudaPinnedMemory
{
    private static readonly ConcurrentDictionary<nint, long> s_blocks = new();
    private static long s_bytes;

    /// <summary>Pinned now.</summary>
    public static long TotalBytes => Interlocked.Read(ref s_bytes);

    /// <summary>Pins memory.</summary>
    /// <param name="bytes">How much.</param>
    /// <param name="what">What for, for messages.</param>
    /// <param name="flags">Besides <see cref="CU_MEMHOSTALLOC_PORTABLE"/>.</param>
    /// <exception cref="NativeException">The host has no such memory, or the context is broken.</exception>
    public static byte* Allocate(long bytes, string what, uint flags = 0)
    {
        void* memory;
        Check(cuMemHostAlloc(&memory, (nuint)bytes, CU_MEMHOSTALLOC_PORTABLE | flags), $"cuMemHostAlloc of {bytes:N0} bytes {what}");
        s_blocks[(nint)memory] = bytes;
        Interlocked.Add(ref s_bytes, bytes);
        return (byte*)memory;
    }

    /// <summary>Gives it back; the driver's status.</summary>
    public static int Free(void* memory)
    {
        if (s_blocks.TryRemove((nint)memory, out var bytes))
        {
            Interlocked.Add(ref s_bytes, -bytes);
        }

        return cuMemFreeHost(memory);
    }
}
