using TensorParallel.Protocol.Checkpoints;

namespace TensorParallel.Coordinator.Planning.ModuleTrees;

/// <summary>A parameter or buffer that a module holds itself.</summary>
/// <param name="Name">Name inside the module: <c>weight</c>, <c>inv_freq</c>.</param>
/// <param name="Shape">Sizes, outermost first; none for a scalar.</param>
/// <param name="IsBuffer">Not a parameter: in float32 at most, and in no checkpoint.</param>
/// <param name="Cut">Its part on a rank.</param>
internal sealed record TensorNode(string Name, IReadOnlyList<long> Shape, bool IsBuffer, TensorCut Cut)
{
    /// <summary>Product of the shape; 1 for a scalar.</summary>
    public long Elements { get; } = Shape.Aggregate(1L, (product, size) => checked(product * size));

    /// <summary>
    /// Bytes in a model of the given dtype. Buffers are made in float32 and are counted at the smaller of the two
    /// sizes, as accelerate does: 64 frequencies are 128 bytes in a bf16 model, 256 in a float32 one.
    /// </summary>
    public long Bytes(DType dtype) =>
        Elements * (IsBuffer ? Math.Min(dtype.SizeInBytes(), DType.F32.SizeInBytes()) : dtype.SizeInBytes());

    /// <summary>A parameter.</summary>
    public static TensorNode Parameter(string name, TensorCut cut, params long[] shape) => new(name, shape, false, cut);

    /// <summary>A buffer.</summary>
    public static TensorNode Buffer(string name, params long[] shape) => new(name, shape, true, TensorCut.Whole);
}
