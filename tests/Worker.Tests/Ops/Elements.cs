using TensorParallel.Protocol.Checkpoints;

namespace TensorParallel.Worker.Tests.Ops;

/// <summary>Single elements to and from bytes of a dtype.</summary>
internal static class Elements
{
    /// <summary>Rounds to the dtype and writes.</summary>
    public static void Write(Span<byte> target, DType dtype, double value)
    {
        switch (dtype)
        {
            case DType.F32:
                BitConverter.TryWriteBytes(target, (float)value);
                break;
            case DType.F16:
                BitConverter.TryWriteBytes(target, (Half)value);
                break;
            case DType.BF16:
                BitConverter.TryWriteBytes(target, RoundToBF16((float)value));
                break;
            default:
                BitConverter.TryWriteBytes(target, checked((int)value));
                break;
        }
    }

    /// <summary>Reads exactly.</summary>
    public static double Read(ReadOnlySpan<byte> source, DType dtype) => dtype switch
    {
        DType.F32 => BitConverter.ToSingle(source),
        DType.F16 => (double)BitConverter.ToHalf(source),
        DType.BF16 => BitConverter.UInt32BitsToSingle((uint)BitConverter.ToUInt16(source) << 16),
        _ => BitConverter.ToInt32(source),
    };

    private static ushort RoundToBF16(float value)
    {
        // The two neighbours by truncation; the nearer one, the even one on a tie.
        var below = BitConverter.SingleToUInt32Bits(value) & 0xFFFF_0000;
        var above = below + 0x1_0000;
        var (down, up) = (BitConverter.UInt32BitsToSingle(below), BitConverter.UInt32BitsToSingle(above));
        var (toDown, toUp) = (Math.Abs((double)value - down), Math.Abs((double)up - value));
        var takeUp = toUp < toDown || (toUp == toDown && (below >> 16) % 2 == 1);
        return (ushort)((takeUp ? above : below) >> 16);
    }
}
