using System.Buffers.Binary;
using Google.Protobuf;

namespace TensorParallel.Protocol.Wire.Frames;

/// <summary>
/// A message as it goes over the wire: its length in bytes (4, little-endian), then the message. A message of 300 bytes begins with
/// 2C 01 00 00. Made once, it can be sent over several sockets. Immutable.
/// </summary>
public sealed class MessageFrame
{
    /// <summary>Bytes of the length.</summary>
    internal const int HeaderBytes = sizeof(uint);

    /// <summary>The frame of a message as it is now.</summary>
    public MessageFrame(IMessage message)
    {
        var size = message.CalculateSize();
        var bytes = new byte[HeaderBytes + size];
        BinaryPrimitives.WriteUInt32LittleEndian(bytes, (uint)size);
        message.WriteTo(bytes.AsSpan(HeaderBytes));
        Bytes = bytes;
    }

    /// <summary>All of it.</summary>
    internal ReadOnlyMemory<byte> Bytes { get; }
}
