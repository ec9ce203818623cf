using System.Buffers.Binary;
using Google.Protobuf;

namespace TensorParallel.Protocol.Wire.Frames;

/// <summary>
/// A message on the wire: its length in bytes (4, little-endian), then the message. A message of 300 bytes begins with 2C 01 00 00.
/// </summary>
internal static class FrameFormat
{
    /// <summary>Bytes of the length.</summary>
    public const int HeaderBytes = sizeof(uint);

    /// <summary>The whole frame of a message.</summary>
    public static byte[] Frame(IMessage message)
    {
        var size = message.CalculateSize();
        var frame = new byte[HeaderBytes + size];
        BinaryPrimitives.WriteUInt32LittleEndian(frame, (uint)size);
        message.WriteTo(frame.AsSpan(HeaderBytes));
        return frame;
    }
}
