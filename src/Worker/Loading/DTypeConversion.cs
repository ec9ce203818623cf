using System.Numerics;
using System.Numerics.Tensors;
using System.Runtime.InteropServices;
using TensorParallel.Protocol.Checkpoints;

namespace TensorParallel.Worker.Loading;

/// <summary>
/// Turns elements of one floating-point type into another, as torch does: widening is exact, narrowing rounds to
/// nearest, ties to even. Stateless.
/// </summary>
internal static class DTypeConversion
{
    private const int BlockElements = 1024;

    /// <summary>Whether <see cref="Convert"/> knows the type.</summary>
    public static bool IsSupported(DType dtype) => dtype is DType.F32 or DType.BF16 or DType.F16;

    /// <summary>
    /// Converts all elements of <paramref name="source"/>; <paramref name="target"/> holds exactly as many.
    /// </summary>
    public static void Convert(DType from, ReadOnlySpan<byte> source, DType to, Span<byte> target)
    {
        var count = source.Length / from.SizeInBytes();
        if (source.Length % from.SizeInBytes() != 0 || target.Length != count * to.SizeInBytes())
        {
            throw new ArgumentException(
                $"{source.Length} bytes of {from} do not become {target.Length} bytes of {to}.");
        }

        if (from == to)
        {
            source.CopyTo(target);
        }
        else if (from == DType.F32)
        {
            FromSingle(MemoryMarshal.Cast<byte, float>(source), to, target);
        }
        else if (to == DType.F32)
        {
            ToSingle(from, source, MemoryMarshal.Cast<byte, float>(target));
        }
        else
        {
            ThroughSingle(from, source, to, target);
        }
    }

    // f16 ↔ bf16: both fit into f32 exactly, so only the second half rounds.
    private static void ThroughSingle(DType from, ReadOnlySpan<byte> source, DType to, Span<byte> target)
    {
        Span<float> block = stackalloc float[BlockElements];
        while (!source.IsEmpty)
        {
            var count = Math.Min(BlockElements, source.Length / from.SizeInBytes());
            var sourceBytes = count * from.SizeInBytes();
            var targetBytes = count * to.SizeInBytes();
            ToSingle(from, source[..sourceBytes], block[..count]);
            FromSingle(block[..count], to, target[..targetBytes]);
            source = source[sourceBytes..];
            target = target[targetBytes..];
        }
    }

    private static void ToSingle(DType from, ReadOnlySpan<byte> source, Span<float> target)
    {
        switch (from)
        {
            case DType.F16:
                TensorPrimitives.ConvertToSingle(MemoryMarshal.Cast<byte, Half>(source), target);
                break;
            case DType.BF16:
                Widen(MemoryMarshal.Cast<byte, ushort>(source), MemoryMarshal.Cast<float, uint>(target));
                break;
            default:
                throw new ArgumentException($"{from} elements cannot be converted.", nameof(from));
        }
    }

    private static void FromSingle(ReadOnlySpan<float> source, DType to, Span<byte> target)
    {
        switch (to)
        {
            case DType.F16:
                TensorPrimitives.ConvertToHalf(source, MemoryMarshal.Cast<byte, Half>(target));
                break;
            case DType.BF16:
                Narrow(MemoryMarshal.Cast<float, uint>(source), MemoryMarshal.Cast<byte, ushort>(target));
                break;
            default:
                throw new ArgumentException($"Elements cannot be converted to {to}.", nameof(to));
        }
    }

    // A bfloat16 is the upper half of a float.
    private static void Widen(ReadOnlySpan<ushort> source, Span<uint> target)
    {
        var i = 0;
        for (; i <= source.Length - Vector<ushort>.Count; i += Vector<ushort>.Count)
        {
            Vector.Widen(new Vector<ushort>(source[i..]), out var low, out var high);
            (low << 16).CopyTo(target[i..]);
            (high << 16).CopyTo(target[(i + Vector<uint>.Count)..]);
        }

        for (; i < source.Length; i++)
        {
            target[i] = (uint)source[i] << 16;
        }
    }

    private static void Narrow(ReadOnlySpan<uint> source, Span<ushort> target)
    {
        var i = 0;
        for (; i <= source.Length - Vector<ushort>.Count; i += Vector<ushort>.Count)
        {
            var low = RoundToBFloat16(new Vector<uint>(source[i..]));
            var high = RoundToBFloat16(new Vector<uint>(source[(i + Vector<uint>.Count)..]));
            Vector.Narrow(low, high).CopyTo(target[i..]);
        }

        for (; i < source.Length; i++)
        {
            target[i] = (ushort)RoundToBFloat16(new Vector<uint>(source[i]))[0];
        }
    }

    // Adding 0x7FFF plus the last kept bit carries into it exactly when the dropped half is above, or at a tie with
    // an odd last bit. Example: 0x3F808000 (1 + 2^-8) is a tie above an even 0x3F80 and stays; 0x3F818000 becomes
    // 0x3F82.
    private static Vector<uint> RoundToBFloat16(Vector<uint> bits)
    {
        var rounded = (bits + new Vector<uint>(0x7FFF) + ((bits >> 16) & Vector<uint>.One)) >> 16;

        // The carry could turn a NaN into an infinity or a zero: keep its sign and make it quiet.
        var isNaN = Vector.GreaterThan(bits & new Vector<uint>(0x7FFF_FFFF), new Vector<uint>(0x7F80_0000));
        return Vector.ConditionalSelect(isNaN, (bits >> 16) | new Vector<uint>(0x40), rounded);
    }
}
