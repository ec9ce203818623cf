using TensorParallel.Protocol.Checkpoints;

namespace TensorParallel.Worker.Ops.Cuda;

/// <summary>Element types as kernels know them.</summary>
internal static class CudaElement
{
    /// <summary>The types that kernels compute with.</summary>
    public static IReadOnlyList<DType> All { get; } = [DType.F32, DType.BF16, DType.F16];

    /// <summary>Name in kernel sources: <c>f32</c>, <c>bf16</c>, <c>f16</c>.</summary>
    public static string Name(DType dtype) => dtype switch
    {
        DType.F32 => "f32",
        DType.BF16 => "bf16",
        DType.F16 => "f16",
        _ => throw new ArgumentException($"No kernel computes with {dtype}.", nameof(dtype)),
    };

    /// <summary>Number that common.cuh's <c>load_any</c> takes.</summary>
    public static int Code(DType dtype) => dtype switch
    {
        DType.F32 => 0,
        DType.BF16 => 1,
        DType.F16 => 2,
        _ => throw new ArgumentException($"No kernel reads {dtype}.", nameof(dtype)),
    };
}
