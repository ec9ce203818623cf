using System.Numerics.Tensors;
using TensorParallel.Protocol.Checkpoints;

namespace TensorParallel.Worker.Ops.Cpu.Kernels;

/// <summary>Stores floats in a narrower dtype, rounded to nearest, ties to even.</summary>
internal static unsafe class Narrowing
{
    /// <summary>Writes <paramref name="count"/> elements of <paramref name="dtype"/>.</summary>
    public static void Write(float* source, byte* target, DType dtype, int count)
    {
        switch (dtype)
        {
            case DType.F32:
                new ReadOnlySpan<float>(source, count).CopyTo(new Span<float>(target, count));
                break;
            case DType.F16:
                TensorPrimitives.ConvertToHalf(new ReadOnlySpan<float>(source, count), new Span<Half>(target, count));
                break;
            case DType.BF16:
                WriteBF16(source, (ushort*)target, count);
                break;
            default:
                throw new ArgumentOutOfRangeException(nameof(dtype), dtype, "Only float dtypes can be written.");
        }
    }

    private static void WriteBF16(float* source, ushort* target, int count)
    {
        for (var i = 0; i < count; i++)
        {
            // Half of the last kept unit less one, plus that unit's own bit: 0x3F80_8000 (a tie) stays 0x3F80,
            // 0x3F81_8000 becomes 0x3F82. NaN keeps a set bit instead of rounding into infinity.
            var bits = ((uint*)source)[i];
            var rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16;
            target[i] = (ushort)(float.IsNaN(source[i]) ? (bits >> 16) | 0x40 : rounded);
        }
    }
}
