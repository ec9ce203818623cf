using System.Runtime.InteropServices;

namespace TensorParallel.Worker.Native;

/// <content>Descriptions of matrices for the copy engine of a multiprocessor (compute capability 9.0 on).</content>
internal static unsafe partial class CudaDriver
{
    internal const int CU_TENSOR_MAP_DATA_TYPE_FLOAT16 = 6;
    internal const int CU_TENSOR_MAP_DATA_TYPE_BFLOAT16 = 9;
    internal const int CU_TENSOR_MAP_INTERLEAVE_NONE = 0;
    internal const int CU_TENSOR_MAP_SWIZZLE_128B = 3;
    internal const int CU_TENSOR_MAP_L2_PROMOTION_L2_256B = 3;
    internal const int CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE = 0;

    [LibraryImport(Library)]
    internal static partial int cuTensorMapEncodeTiled(
        void* tensorMap, int tensorDataType, uint tensorRank, void* globalAddress, ulong* globalDim, ulong* globalStrides, uint* boxDim,
        uint* elementStrides, int interleave, int swizzle, int l2Promotion, int oobFill);
}
