using System.Runtime.InteropServices;
using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Worker.Loading;
using Xunit;

namespace TensorParallel.Worker.Tests.Loading;

public class DTypeConversionTests
{
    private static readonly DType[] s_types = [DType.F32, DType.BF16, DType.F16];

    // Around a tie, the largest values, numbers that only one side can hold, zeros, infinities, NaNs.
    private static readonly uint[] s_specialBits =
    [
        0x3F80_8000, 0x3F81_8000, 0x3F80_7FFF, 0x3F80_8001, 0x7F7F_FFFF, 0xFF7F_FFFF, 0x0000_0001, 0x0000_8000,
        0x477F_F000, 0x3300_0000, 0x0000_0000, 0x8000_0000, 0x7F80_0000, 0xFF80_0000, 0x7F80_0001, 0x7FFF_FFFF,
        0xFFFF_FFFF,
    ];

    public static TheoryData<DType, DType> Pairs { get; } =
        [.. from a in s_types from b in s_types select new TheoryDataRow<DType, DType>(a, b)];

    [Theory]
    [MemberData(nameof(Pairs))]
    public void EveryPairRoundsToNearestEven(DType from, DType to)
    {
        var random = new Random(11);
        foreach (var count in (int[])[0, 1, 7, 8, 15, 16, 17, 33, 1023, 1024, 1025, 4099])
        {
            var source = new byte[count * from.SizeInBytes()];
            for (var i = 0; i < count; i++)
            {
                var bits = i < s_specialBits.Length ? s_specialBits[i] : (uint)random.NextInt64(0, 1L << 32);
                WriteElement(from, source, i, bits);
            }

            var target = new byte[count * to.SizeInBytes()];
            target.AsSpan().Fill(0xCD);
            DTypeConversion.Convert(from, source, to, target);
            for (var i = 0; i < count; i++)
            {
                AssertElement(from, source, to, target, i);
            }
        }
    }

    [Fact]
    public void SizesMustAgree() =>
        Assert.Throws<ArgumentException>(
            () => DTypeConversion.Convert(DType.F32, new byte[8], DType.BF16, new byte[8]));

    private static void WriteElement(DType dtype, byte[] data, int i, uint bits)
    {
        if (dtype == DType.F32)
        {
            MemoryMarshal.Cast<byte, uint>(data.AsSpan())[i] = bits;
        }
        else
        {
            MemoryMarshal.Cast<byte, ushort>(data.AsSpan())[i] = (ushort)(bits >> 16);
        }
    }

    private static void AssertElement(DType from, byte[] source, DType to, byte[] target, int i)
    {
        var value = Read(from, source, i);
        var actual = Read(to, target, i);
        if (float.IsNaN(value))
        {
            Assert.True(float.IsNaN(actual), $"element {i}: NaN became {actual}");
            return;
        }

        var expected = to switch
        {
            DType.F32 => value,
            DType.F16 => (float)(Half)value,
            _ => NearestBFloat16(value),
        };
        Assert.True(
            BitConverter.SingleToUInt32Bits(expected) == BitConverter.SingleToUInt32Bits(actual),
            $"{from} → {to}, element {i}: {value:R} became {actual:R}, not {expected:R}");
    }

    // By search among the two neighbours, in exact arithmetic: no bit trick shared with the product.
    private static float NearestBFloat16(float value)
    {
        if (float.IsInfinity(value))
        {
            return value;
        }

        var below = BitConverter.SingleToUInt32Bits(value) & 0xFFFF_0000;
        var low = BitConverter.UInt32BitsToSingle(below);
        var high = BitConverter.UInt32BitsToSingle(below + 0x1_0000);
        var highSize = float.IsInfinity(high) ? Math.Pow(2, 128) : Math.Abs((double)high);
        var toLow = Math.Abs((double)value) - Math.Abs((double)low);
        var toHigh = highSize - Math.Abs((double)value);
        var lowIsEven = (below & 0x1_0000) == 0;
        return toLow < toHigh || (toLow == toHigh && lowIsEven) ? low : high;
    }

    private static float Read(DType dtype, byte[] data, int i) => dtype switch
    {
        DType.F32 => MemoryMarshal.Cast<byte, float>(data)[i],
        DType.F16 => (float)MemoryMarshal.Cast<byte, Half>(data)[i],
        _ => BitConverter.UInt32BitsToSingle((uint)MemoryMarshal.Cast<byte, ushort>(data)[i] << 16),
    };
}
