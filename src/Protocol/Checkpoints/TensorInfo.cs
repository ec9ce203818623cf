namespace TensorParallel.Protocol.Checkpoints;

/// <summary>
/// Where one tensor lies: row-major, uninterrupted, little-endian. Made only by <see cref="SafetensorsHeader"/>, which
/// has checked that shape, dtype and byte range agree and that the range lies inside the file.
/// </summary>
/// <param name="Name">The checkpoint's own name, such as "model.layers.0.self_attn.q_proj.weight".</param>
/// <param name="DType">Element type.</param>
/// <param name="Shape">Sizes, slowest dimension first; empty for a scalar. A linear weight is [out, in].</param>
/// <param name="File">Full path of the file.</param>
/// <param name="Offset">First byte, counted from the start of the file (the header included).</param>
/// <param name="Bytes">Length of the data; 0 when a size is 0.</param>
public sealed record TensorInfo(
    string Name, DType DType, IReadOnlyList<long> Shape, string File, long Offset, long Bytes)
{
    /// <summary>Product of the sizes: 1 for a scalar. Cannot overflow: the header check has multiplied it.</summary>
    public long ElementCount => Shape.Aggregate(1L, (product, size) => product * size);
}
