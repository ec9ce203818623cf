using System.Runtime.InteropServices;
using Google.Protobuf;

namespace TensorParallel.Protocol.Wire;

/// <summary>
/// Many int32 as the bytes of a message, little-endian: 2,048 token ids are one copy of 8 KiB, where a repeated field would read and write
/// each for itself, which takes the better part of a millisecond until the code is warm.
/// </summary>
internal static class Int32Bytes
{
    /// <summary>Bytes of the numbers.</summary>
    public static ByteString Of(IReadOnlyList<int> values)
    {
        var numbers = values as int[] ?? [.. values];
        return numbers.Length == 0 ? ByteString.Empty : ByteString.CopyFrom(MemoryMarshal.AsBytes<int>(InWireOrder(numbers)));
    }

    /// <summary>The numbers of the bytes.</summary>
    /// <param name="bytes">The bytes.</param>
    /// <param name="where">For the message: what they belong to.</param>
    /// <param name="field">For the message: their name.</param>
    /// <exception cref="WireException">They are not whole numbers.</exception>
    public static int[] Read(ByteString bytes, string where, string field) => bytes.Length % sizeof(int) == 0
        ? InWireOrder(MemoryMarshal.Cast<byte, int>(bytes.Span).ToArray())
        : throw new WireException($"{where}: {field} is {bytes.Length} bytes long, it must be a multiple of {sizeof(int)}.");

    private static int[] InWireOrder(int[] values) =>
        BitConverter.IsLittleEndian ? values : [.. values.Select(System.Buffers.Binary.BinaryPrimitives.ReverseEndianness)];
}
