using System.Net.Sockets;
using TensorParallel.Protocol.Wire.Frames;

namespace TensorParallel.Coordinator.Workers;

/// <summary>
/// The workers' way in: a unix socket in a private folder and nothing else. Each stream has a thread of its own that waits in the system for
/// what the worker says, so that an answer wakes one thread and not a chain of them. One hub a group, so that a restarted group shares
/// nothing with the lost one.
/// </summary>
internal sealed partial class WorkerHub : IAsyncDisposable
{
    private readonly HubAdmission _admission;
    private readonly ILogger _logger;
    private readonly SocketFolder _folder;
    private readonly Socket _listener;
    private readonly Task _accepting;
    private readonly Lock _gate = new();
    private readonly HashSet<MessageSocket> _streams = [];
    private readonly CancellationTokenSource _closing = new();

    /// <summary>Starts listening.</summary>
    public WorkerHub(HubAdmission admission, ILoggerFactory loggers)
    {
        _admission = admission;
        _logger = loggers.CreateLogger<WorkerHub>();
        _folder = new SocketFolder(Path.GetTempPath());
        try
        {
            _listener = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
            _listener.Bind(new UnixDomainSocketEndPoint(_folder.SocketPath));
            _listener.Listen();
        }
        catch
        {
            _listener?.Dispose();
            _folder.Dispose();
            throw;
        }

        _accepting = AcceptAsync();
    }

    /// <summary>What workers are told to connect to.</summary>
    public string Address => $"unix:{_folder.SocketPath}";

    /// <summary>
    /// Removes the socket's path; the streams that exist live on. Called when every rank is in: then nobody can join
    /// any more, and a coordinator that is killed leaves no file behind.
    /// </summary>
    public void CloseDoor() => _folder.Dispose();

    /// <summary>Ends all streams, stops listening, removes the socket. Does not wait for what the streams' threads still have in hand.</summary>
    public async ValueTask DisposeAsync()
    {
        await _closing.CancelAsync();
        await _accepting;
        _listener.Dispose();
        lock (_gate)
        {
            foreach (var stream in _streams)
            {
                stream.Dispose();
            }
        }

        _folder.Dispose();
    }

    private async Task AcceptAsync()
    {
        try
        {
            while (true)
            {
                Begin(new MessageSocket(await _listener.AcceptAsync(_closing.Token)));
            }
        }
        catch (OperationCanceledException) when (_closing.IsCancellationRequested)
        {
            // The hub is closed.
        }
        catch (Exception exception)
        {
            // Who cannot come in is missed: the start ends with its patience, and this says why.
            Log.CannotAccept(_logger, exception.Message);
        }
    }

    private void Begin(MessageSocket stream)
    {
        lock (_gate)
        {
            _streams.Add(stream);
        }

        new Thread(() => Serve(stream)) { IsBackground = true, Name = "worker stream" }.Start();
    }

    private void Serve(MessageSocket stream)
    {
        try
        {
            _admission.Admit(stream)?.Serve();
        }
        catch (Exception exception)
        {
            // A stream that cannot even be waited for: it ends, and nothing else does.
            Log.StreamFailed(_logger, exception);
        }
        finally
        {
            stream.Dispose();
            lock (_gate)
            {
                _streams.Remove(stream);
            }
        }
    }

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Warning, "The workers' socket takes no more connections: {Reason}")]
        public static partial void CannotAccept(ILogger logger, string reason);

        [LoggerMessage(2, LogLevel.Error, "A worker's stream failed.")]
        public static partial void StreamFailed(ILogger logger, Exception exception);
    }
}
