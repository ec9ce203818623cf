using System.Runtime.InteropServices;
using TensorParallel.Protocol.Checkpoints;
using static TensorParallel.Worker.Native.CudaDriver;

namespace TensorParallel.Worker.Devices;

/// <summary>
/// What a multiprocessor's copy engine has to know of a matrix (CUtensorMap, 128 opaque bytes): part of a launch's parameters, at a multiple
/// of 64 bytes. Compute capability 9.0 on.
/// </summary>
[StructLayout(LayoutKind.Sequential, Size = Bytes)]
internal unsafe struct CudaTensorMap
{
    /// <summary>Columns of a box of two-byte elements: 128 bytes, the widest that the engine permutes.</summary>
    public const int BoxColumns = 64;

    private const int Bytes = 128;
    private const int Alignment = 64;

    private fixed byte _opaque[Bytes];

    /// <summary>
    /// Describes a bf16 or f16 matrix, to be copied in boxes of <paramref name="boxRows"/> (at most 256) rows and 64 columns with their 16-byte
    /// pieces permuted (piece p of row r at place p ^ (r % 8)); what lies outside of the matrix arrives as zeros. Rows start at multiples of
    /// 16 bytes and have whole eights of columns.
    /// </summary>
    public static CudaTensorMap Of(CudaDevice device, Tensor tensor, int boxRows)
    {
        device.MakeCurrent();
        var rowElements = tensor.Rows > 1 ? tensor.RowStride : tensor.Columns;
        var sizes = stackalloc ulong[] { (ulong)tensor.Columns, (ulong)tensor.Rows };
        var strides = stackalloc ulong[] { (ulong)rowElements * (ulong)tensor.DType.SizeInBytes() };
        var box = stackalloc uint[] { BoxColumns, (uint)boxRows };
        var steps = stackalloc uint[] { 1, 1 };
        var room = stackalloc byte[Bytes + Alignment];
        var map = (CudaTensorMap*)(((nint)room + Alignment - 1) / Alignment * Alignment);
        Check(
            cuTensorMapEncodeTiled(
                map,
                tensor.DType switch
                {
                    DType.BF16 => CU_TENSOR_MAP_DATA_TYPE_BFLOAT16,
                    DType.F16 => CU_TENSOR_MAP_DATA_TYPE_FLOAT16,
                    var other => throw new ArgumentException($"No boxes of {other} are copied.", nameof(tensor)),
                },
                2, (void*)tensor.Address, sizes, strides, box, steps, CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_128B,
                CU_TENSOR_MAP_L2_PROMOTION_L2_256B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE),
            $"cuTensorMapEncodeTiled of [{tensor.Rows}, {tensor.Columns}] {tensor.DType}, stride {tensor.RowStride}");
        return *map;
    }
}
