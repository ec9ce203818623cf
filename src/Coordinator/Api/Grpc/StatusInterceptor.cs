using Grpc.Core;
using Grpc.Core.Interceptors;
using TensorParallel.Coordinator.Engine;
using TensorParallel.Coordinator.Launching;
using TensorParallel.Coordinator.Text;
using TensorParallel.Coordinator.Workers;
using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Protocol.Parallel;

namespace TensorParallel.Coordinator.Api.Grpc;

/// <summary>Gives every failure of a call its gRPC status and its one sentence.</summary>
internal sealed class StatusInterceptor : Interceptor
{
    // Trailers travel in one header block, which clients bound at 8 KB; percent-coding may triple a character.
    private const int LongestDetail = 2000;

    /// <inheritdoc/>
    public override async Task<TResponse> UnaryServerHandler<TRequest, TResponse>(
        TRequest request, ServerCallContext context, UnaryServerMethod<TRequest, TResponse> continuation)
    {
        try
        {
            return await continuation(request, context);
        }
        catch (Exception exception) when (StatusOf(exception, context) is { } status)
        {
            throw new RpcException(status);
        }
    }

    /// <inheritdoc/>
    public override async Task ServerStreamingServerHandler<TRequest, TResponse>(
        TRequest request,
        IServerStreamWriter<TResponse> responseStream,
        ServerCallContext context,
        ServerStreamingServerMethod<TRequest, TResponse> continuation)
    {
        try
        {
            await continuation(request, responseStream, context);
        }
        catch (Exception exception) when (StatusOf(exception, context) is { } status)
        {
            throw new RpcException(status);
        }
    }

    // Null: gRPC's own answer is right (a status of its own, or INTERNAL for a defect, which it logs).
    private static Status? StatusOf(Exception exception, ServerCallContext context)
    {
        StatusCode? code = exception switch
        {
            RequestException or TokenizerException => StatusCode.InvalidArgument,
            CheckpointException or PlanException => StatusCode.InvalidArgument,
            ModelNotFoundException => StatusCode.NotFound,
            ModelExistsException => StatusCode.AlreadyExists,
            FolderNotAllowedException => StatusCode.PermissionDenied,
            WorkerLaunchException => StatusCode.FailedPrecondition,
            EngineBusyException => StatusCode.ResourceExhausted,
            EngineUnavailableException or WorkerLostException => StatusCode.Unavailable,
            _ when !context.CancellationToken.IsCancellationRequested => null,
            _ when context.Deadline <= DateTime.UtcNow => StatusCode.DeadlineExceeded,
            _ => StatusCode.Cancelled,
        };
        return code is { } known ? new Status(known, DetailOf(exception, known)) : null;
    }

    private static string DetailOf(Exception exception, StatusCode code)
    {
        var detail = code switch
        {
            StatusCode.DeadlineExceeded =>
                "The deadline passed before the generation was finished; its computation has ended.",
            StatusCode.Cancelled => "The call was cancelled; its computation has ended.",
            _ => exception.Message,
        };
        return detail.Length <= LongestDetail ? detail : string.Concat(detail.AsSpan(0, LongestDetail), " …");
    }
}
