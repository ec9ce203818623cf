using System.Net.Sockets;
using TensorParallel.Protocol.Wire;
using TensorParallel.Protocol.Wire.Frames;
using TensorParallel.Protocol.Wire.Workers;

namespace TensorParallel.Worker.Session;

/// <summary>
/// The stream to the coordinator, dialled by the worker. Events leave in the order posted, from any thread; commands are read by one thread
/// at a time. The end of the stream, however it comes, is the loss of the coordinator.
/// </summary>
internal sealed class CoordinatorLink : IDisposable
{
    private readonly MessageSocket? _socket;

    private CoordinatorLink(WorkerAddress address)
    {
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            socket.Connect(new UnixDomainSocketEndPoint(address.SocketPath));
            _socket = new MessageSocket(socket);
        }
        catch (SocketException exception)
        {
            socket.Dispose();
            LossReason = exception.Message;
        }
    }

    /// <summary>Why the stream ended; null while it lives and after an orderly end.</summary>
    public string? LossReason { get; private set; }

    /// <summary>Opens the stream; that it cannot be opened shows as its end at the first read.</summary>
    public static CoordinatorLink Dial(WorkerAddress address) => new(address);

    /// <summary>Sends an event and returns at once; after the loss of the stream events go nowhere.</summary>
    public void Post(WorkerEvent message) => _socket?.Send(message);

    /// <summary>Waits for the next command; null when the stream has ended.</summary>
    public WorkerCommand? Read()
    {
        try
        {
            var command = _socket?.Receive(WorkerCommand.Parser);
            LossReason ??= command is null ? _socket?.Problem : command.Refused?.Reason;
            return command?.Refused is null ? command : null;
        }
        catch (WireException exception)
        {
            LossReason = exception.Message;
            return null;
        }
    }

    /// <summary>Closes this side of the stream once everything posted is sent; does not wait for that.</summary>
    public void Complete() => _socket?.CompleteSending();

    /// <inheritdoc/>
    public void Dispose() => _socket?.Dispose();
}
