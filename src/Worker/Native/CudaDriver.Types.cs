using System.Runtime.InteropServices;

namespace TensorParallel.Worker.Native;

internal static unsafe partial class CudaDriver
{
    internal const int CUDA_SUCCESS = 0;
    internal const int CUDA_ERROR_OUT_OF_MEMORY = 2;
    internal const int CUDA_ERROR_NO_DEVICE = 100;
    internal const int CUDA_ERROR_OPERATING_SYSTEM = 304;

    internal const int CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT = 16;
    internal const int CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR = 75;
    internal const int CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR = 76;
    internal const int CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN = 97;

    internal const uint CU_STREAM_NON_BLOCKING = 1;
    internal const uint CU_EVENT_DEFAULT = 0;
    internal const uint CU_EVENT_BLOCKING_SYNC = 1;
    internal const uint CU_EVENT_DISABLE_TIMING = 2;
    internal const uint CU_EVENT_RECORD_EXTERNAL = 1;
    internal const uint CU_MEMHOSTALLOC_PORTABLE = 1;
    internal const int CU_STREAM_CAPTURE_MODE_THREAD_LOCAL = 1;
    internal const int CU_FUNC_ATTRIBUTE_NUM_REGS = 4;
    internal const int CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES = 8;
    internal const int CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT = 9;
    internal const int CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION = 4;
    internal const int CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION = 6;
    internal const uint CU_IPC_MEM_LAZY_ENABLE_PEER_ACCESS = 1;

    /// <summary>CUlaunchConfig.</summary>
    [StructLayout(LayoutKind.Sequential)]
    internal struct CUlaunchConfig
    {
        internal uint gridDimX;
        internal uint gridDimY;
        internal uint gridDimZ;
        internal uint blockDimX;
        internal uint blockDimY;
        internal uint blockDimZ;
        internal uint sharedMemBytes;
        internal nint hStream;
        internal CUlaunchAttribute* attrs;
        internal uint numAttrs;
    }

    /// <summary>CUlaunchAttribute: an id, padding to 8 bytes, and a union of 64 bytes.</summary>
    [StructLayout(LayoutKind.Explicit, Size = 72)]
    internal struct CUlaunchAttribute
    {
        [FieldOffset(0)]
        internal int id;

        [FieldOffset(8)]
        internal int value;

        [FieldOffset(8)]
        internal uint clusterX;

        [FieldOffset(12)]
        internal uint clusterY;

        [FieldOffset(16)]
        internal uint clusterZ;
    }

    /// <summary>CUipcMemHandle: 64 opaque bytes.</summary>
    [StructLayout(LayoutKind.Sequential, Size = 64)]
    internal struct CUipcMemHandle
    {
        internal fixed byte reserved[64];
    }
}
