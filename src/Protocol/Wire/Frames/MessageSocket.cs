using System.Net.Sockets;
using Google.Protobuf;

namespace TensorParallel.Protocol.Wire.Frames;

/// <summary>
/// Messages in both directions over a connected stream socket, each behind its length. Between processes of one host nothing else is
/// needed, and nothing else is in the way: sending is one call of the system on the sender's thread, receiving one wake-up of a thread that
/// waits in the system. (By gRPC, which this was at first, a prompt of 512 tokens spent 0.4 ms on its way to a worker and its token 1.0 ms
/// on the way back, for each message went through the hands of five threads that slept.)
/// </summary>
public sealed class MessageSocket : IDisposable
{
    /// <summary>Most bytes of a message: a plan of a large model over 8 ranks is about 1 MB of JSON.</summary>
    public const int MostBytes = 64 << 20;

    private readonly Socket _socket;
    private readonly FrameReader _reader;
    private readonly FrameWriter _writer;

    /// <summary>Takes over a connected stream socket.</summary>
    public MessageSocket(Socket socket)
    {
        socket.Blocking = false;
        _socket = socket;
        _reader = new FrameReader(socket);
        _writer = new FrameWriter(socket);
    }

    /// <summary>What broke the stream, in words; null while it lives and after an orderly end. The receiving thread's.</summary>
    public string? Problem => _reader.Problem;

    /// <summary>Sends a message behind those sent before; never waits. What comes after the end goes nowhere. Any thread.</summary>
    public void Send(IMessage message) => Send(new MessageFrame(message));

    /// <summary>The same of a message that goes to several.</summary>
    public void Send(MessageFrame frame) => _writer.Write(frame.Bytes);

    /// <summary>Closes this side once everything is sent; does not wait for that. Any thread.</summary>
    public void CompleteSending() => _writer.Complete();

    /// <summary>
    /// Waits for the next message; null when the stream has ended, for whatever reason, <see cref="Dispose"/> on another thread among them.
    /// One thread at a time.
    /// </summary>
    /// <param name="parser">Reads it.</param>
    /// <param name="mostBytes">Most bytes that it may have.</param>
    /// <param name="patience">Longest wait; null: as long as it takes.</param>
    /// <exception cref="WireException">What came is no such message, or longer than it may be.</exception>
    /// <exception cref="TimeoutException">Nothing whole came in time.</exception>
    public T? Receive<T>(MessageParser<T> parser, int mostBytes = MostBytes, TimeSpan? patience = null)
        where T : class, IMessage<T>
    {
        try
        {
            return _reader.TryRead(mostBytes, patience, out var body) ? parser.ParseFrom(body) : null;
        }
        catch (InvalidProtocolBufferException exception)
        {
            throw new WireException($"What came is no {typeof(T).Name}: {exception.Message}");
        }
        catch (ObjectDisposedException)
        {
            return null;
        }
    }

    /// <summary>Breaks the stream: whoever waits for a message on either side sees its end.</summary>
    public void Dispose()
    {
        try
        {
            _socket.Shutdown(SocketShutdown.Both);
        }
        catch (Exception exception) when (exception is SocketException or ObjectDisposedException)
        {
            // The other side was first, or this is the second time.
        }

        _socket.Dispose();
    }
}
