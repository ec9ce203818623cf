using System.Net.Sockets;
using System.Threading.Channels;
using Grpc.Core;
using Grpc.Net.Client;
using TensorParallel.Protocol.Wire.Workers;

namespace TensorParallel.Worker.Session;

/// <summary>
/// The duplex stream to the coordinator, dialled by the worker. Events leave in the order posted, from any thread;
/// commands are read by one reader. The end of the stream, however it comes, is the loss of the coordinator.
/// </summary>
internal sealed class CoordinatorLink : IAsyncDisposable
{
    // A plan of a large model over 8 ranks is about 1 MB of JSON; gRPC's default of 4 MB would be near.
    private const int MaxMessageBytes = 64 << 20;

    private readonly GrpcChannel _channel;
    private readonly AsyncDuplexStreamingCall<WorkerEvent, WorkerCommand> _call;
    private readonly Channel<WorkerEvent> _outbox =
        Channel.CreateUnbounded<WorkerEvent>(new UnboundedChannelOptions { SingleReader = true });

    private CoordinatorLink(WorkerAddress address)
    {
        _channel = GrpcChannel.ForAddress("http://localhost", new GrpcChannelOptions
        {
            HttpHandler = new SocketsHttpHandler
            {
                ConnectCallback = (_, cancellationToken) => ConnectAsync(address, cancellationToken),
                UseProxy = false,
                PooledConnectionIdleTimeout = Timeout.InfiniteTimeSpan,
            },
            DisposeHttpClient = true,
            MaxReceiveMessageSize = MaxMessageBytes,
            MaxSendMessageSize = MaxMessageBytes,
        });
        _call = new WorkerHub.WorkerHubClient(_channel).Connect();
        _ = SendAsync();
    }

    /// <summary>Why the stream ended; null while it lives and after an orderly end.</summary>
    public string? LossReason { get; private set; }

    /// <summary>Opens the stream; that it cannot be opened shows as its end at the first read.</summary>
    public static CoordinatorLink Dial(WorkerAddress address) => new(address);

    /// <summary>Queues an event and returns at once; after the loss of the stream events go nowhere.</summary>
    public void Post(WorkerEvent message) => _outbox.Writer.TryWrite(message);

    /// <summary>The next command, or null when the stream has ended.</summary>
    public async Task<WorkerCommand?> ReadAsync()
    {
        try
        {
            return await _call.ResponseStream.MoveNext(CancellationToken.None) ? _call.ResponseStream.Current : null;
        }
        catch (RpcException exception)
        {
            LossReason = exception.Status.Detail;
            return null;
        }
    }

    /// <summary>Closes this side of the stream once everything queued is sent; does not wait for that.</summary>
    public void Complete() => _outbox.Writer.TryComplete();

    /// <inheritdoc/>
    public ValueTask DisposeAsync()
    {
        _outbox.Writer.TryComplete();
        _call.Dispose();
        _channel.Dispose();
        return ValueTask.CompletedTask;
    }

    private static async ValueTask<Stream> ConnectAsync(WorkerAddress address, CancellationToken cancellationToken)
    {
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            await socket.ConnectAsync(new UnixDomainSocketEndPoint(address.SocketPath), cancellationToken);
            return new NetworkStream(socket, ownsSocket: true);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    private async Task SendAsync()
    {
        try
        {
            await foreach (var message in _outbox.Reader.ReadAllAsync())
            {
                await _call.RequestStream.WriteAsync(message);
            }

            await _call.RequestStream.CompleteAsync();
        }
        catch (Exception exception)
            when (exception is RpcException or InvalidOperationException or OperationCanceledException)
        {
            // The reader sees the same end and says why; there is nobody left to send to.
            _outbox.Writer.TryComplete();
        }
    }
}
