using System.Runtime.InteropServices;

namespace TensorParallel.Worker.Native;

/// <content>What collectives need besides: asking for events without waiting, and copies of rows with gaps.</content>
internal static unsafe partial class CudaDriver
{
    internal const int CUDA_ERROR_NOT_READY = 600;
    internal const uint CU_MEMORYTYPE_HOST = 1;
    internal const uint CU_MEMORYTYPE_DEVICE = 2;

    [LibraryImport(Library)]
    internal static partial int cuEventQuery(nint @event);

    [LibraryImport(Library, EntryPoint = "cuMemcpy2DAsync_v2")]
    internal static partial int cuMemcpy2DAsync(CUDA_MEMCPY2D* copy, nint stream);

    /// <summary>A rectangle of bytes; each pitch is at least the width.</summary>
    [StructLayout(LayoutKind.Sequential)]
    internal struct CUDA_MEMCPY2D
    {
        internal nuint srcXInBytes;
        internal nuint srcY;
        internal uint srcMemoryType;
        internal void* srcHost;
        internal ulong srcDevice;
        internal nint srcArray;
        internal nuint srcPitch;
        internal nuint dstXInBytes;
        internal nuint dstY;
        internal uint dstMemoryType;
        internal void* dstHost;
        internal ulong dstDevice;
        internal nint dstArray;
        internal nuint dstPitch;
        internal nuint WidthInBytes;
        internal nuint Height;
    }
}
