using System.Threading.Channels;
using Grpc.Core;
using TensorParallel.Protocol.Wire.Workers;

namespace TensorParallel.Coordinator.Workers;

/// <summary>One rank's stream. Commands leave in the order posted; posting never waits, from any thread.</summary>
internal sealed class WorkerConnection(
    IAsyncStreamReader<WorkerEvent> events, IServerStreamWriter<WorkerCommand> commands)
{
    private readonly Channel<WorkerCommand> _outbox =
        Channel.CreateUnbounded<WorkerCommand>(new UnboundedChannelOptions { SingleReader = true });
    private string? _brokenBy;

    /// <summary>Queues a command; it goes nowhere when the stream has ended.</summary>
    public void Post(WorkerCommand command) => _outbox.Writer.TryWrite(command);

    /// <summary>
    /// Carries commands out and events in until the stream ends; returns why, or null after an orderly end. What
    /// <paramref name="receive"/> throws ends the stream and is thrown on.
    /// </summary>
    public async Task<string?> RunAsync(Action<WorkerEvent> receive, CancellationToken aborted)
    {
        var sending = SendAsync(aborted);
        try
        {
            while (await HasNextAsync(aborted))
            {
                receive(events.Current);
            }

            return _brokenBy;
        }
        finally
        {
            _outbox.Writer.TryComplete();
            await sending;
        }
    }

    // What Kestrel and gRPC throw when the other side has vanished.
    private static bool IsEndOfStream(Exception exception) =>
        exception is IOException or OperationCanceledException or RpcException or InvalidOperationException;

    private async Task<bool> HasNextAsync(CancellationToken aborted)
    {
        try
        {
            return await events.MoveNext(aborted);
        }
        catch (Exception exception) when (IsEndOfStream(exception))
        {
            _brokenBy = exception.Message;
            return false;
        }
    }

    private async Task SendAsync(CancellationToken aborted)
    {
        try
        {
            await foreach (var command in _outbox.Reader.ReadAllAsync(aborted))
            {
                await commands.WriteAsync(command, aborted);
            }
        }
        catch (Exception exception) when (IsEndOfStream(exception))
        {
            // The receiving side ends for the same reason, and reports it.
            _outbox.Writer.TryComplete();
        }
    }
}
