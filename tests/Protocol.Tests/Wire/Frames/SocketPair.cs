using System.Net.Sockets;
using TensorParallel.Protocol.Wire.Frames;

namespace TensorParallel.Protocol.Tests.Wire.Frames;

/// <summary>Two ends of one unix socket: one speaks messages, the other bytes. Each is disposed with the pair.</summary>
internal sealed class SocketPair : IDisposable
{
    public SocketPair()
    {
        var path = Path.Combine(Path.GetTempPath(), Path.GetRandomFileName());
        using var listener = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        listener.Bind(new UnixDomainSocketEndPoint(path));
        listener.Listen();
        Raw = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        Raw.Connect(new UnixDomainSocketEndPoint(path));
        Messages = new MessageSocket(listener.Accept());
        File.Delete(path);
    }

    public MessageSocket Messages { get; }

    public Socket Raw { get; }

    public void Dispose()
    {
        Messages.Dispose();
        Raw.Dispose();
    }
}
