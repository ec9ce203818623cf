using System.Security.Cryptography;
using System.Text;
using Grpc.Core;
using TensorParallel.Protocol.Wire.Workers;

namespace TensorParallel.Coordinator.Workers;

/// <summary>
/// Takes in the workers' streams: the first event must be a Hello with the group's secret and a free rank.
/// </summary>
internal sealed class WorkerHubService(HubAdmission admission) : WorkerHub.WorkerHubBase
{
    private readonly byte[] _secret = Encoding.UTF8.GetBytes(admission.Secret);

    /// <inheritdoc/>
    public override async Task Connect(
        IAsyncStreamReader<WorkerEvent> requestStream,
        IServerStreamWriter<WorkerCommand> responseStream,
        ServerCallContext context)
    {
        var rank = Admit(await FirstEventAsync(requestStream, context.CancellationToken));
        var connection = new WorkerConnection(requestStream, responseStream);
        if (!rank.TryConnect(connection))
        {
            throw new RpcException(new Status(StatusCode.AlreadyExists, $"rank {rank.Rank} is connected already"));
        }

        await rank.ServeAsync(connection, context.CancellationToken);
    }

    private async Task<Hello> FirstEventAsync(IAsyncStreamReader<WorkerEvent> events, CancellationToken aborted)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(aborted);
        limit.CancelAfter(admission.HelloTimeout);
        try
        {
            if (await events.MoveNext(limit.Token) && events.Current.Hello is { } hello)
            {
                return hello;
            }
        }
        catch (Exception exception) when (exception is OperationCanceledException or IOException)
        {
            // A worker that is stopped while it starts takes its stream with it: nothing to log as a fault of this service.
            throw new RpcException(aborted.IsCancellationRequested || exception is IOException
                ? new Status(StatusCode.Cancelled, "the stream ended before its hello")
                : new Status(StatusCode.DeadlineExceeded, "no hello came in time"));
        }

        throw new RpcException(new Status(StatusCode.InvalidArgument, "the first event must be a hello"));
    }

    private WorkerRank Admit(Hello hello)
    {
        if (!CryptographicOperations.FixedTimeEquals(Encoding.UTF8.GetBytes(hello.Secret), _secret))
        {
            throw new RpcException(new Status(StatusCode.PermissionDenied, "the secret is not this coordinator's"));
        }

        return hello.Rank >= 0 && hello.Rank < admission.Ranks.Count
            ? admission.Ranks[hello.Rank]
            : throw new RpcException(new Status(
                StatusCode.InvalidArgument, $"rank {hello.Rank} is not in 0 … {admission.Ranks.Count - 1}"));
    }
}
