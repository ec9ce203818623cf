using Grpc.Core;
using TensorParallel.Coordinator.Engine;
using Wire = TensorParallel.Protocol.Wire.Admin;

namespace TensorParallel.Coordinator.Api.Grpc;

/// <summary>The admin gRPC service. What it throws, <see cref="StatusInterceptor"/> makes a status.</summary>
/// <param name="models">Does it.</param>
internal sealed class AdminService(IModelAdministration models) : Wire.Admin.AdminBase
{
    private const double MostGraceSeconds = 24 * 3600;

    /// <inheritdoc/>
    public override async Task<Wire.LoadModelResponse> LoadModel(Wire.LoadModelRequest request, ServerCallContext context)
    {
        var started = TimeProvider.System.GetTimestamp();
        var report = await models.LoadAsync(AdminMapping.ToLoading(request), context.CancellationToken);
        return new Wire.LoadModelResponse
        {
            Model = AdminMapping.ToMessage(report),
            Seconds = TimeProvider.System.GetElapsedTime(started).TotalSeconds,
        };
    }

    /// <inheritdoc/>
    public override async Task<Wire.UnloadModelResponse> UnloadModel(Wire.UnloadModelRequest request, ServerCallContext context)
    {
        if (request.HasGraceSeconds && request.GraceSeconds is not (>= 0 and <= MostGraceSeconds))
        {
            throw new RequestException([$"grace_seconds is {request.GraceSeconds}: give seconds from 0 to {MostGraceSeconds}."]);
        }

        var started = TimeProvider.System.GetTimestamp();
        var grace = request.HasGraceSeconds ? TimeSpan.FromSeconds(request.GraceSeconds) : (TimeSpan?)null;
        await models.UnloadAsync(request.Name, grace);
        return new Wire.UnloadModelResponse { Seconds = TimeProvider.System.GetElapsedTime(started).TotalSeconds };
    }

    /// <inheritdoc/>
    public override Task<Wire.ListModelsResponse> ListModels(Wire.ListModelsRequest request, ServerCallContext context) =>
        Task.FromResult(new Wire.ListModelsResponse { Models = { models.Models().Select(AdminMapping.ToMessage) } });

    /// <inheritdoc/>
    public override async Task<Wire.GetMemoryResponse> GetMemory(Wire.GetMemoryRequest request, ServerCallContext context) =>
        AdminMapping.ToMessage(await models.MemoryAsync(Name(request.Model), resetPeaks: false));

    /// <inheritdoc/>
    public override async Task<Wire.GetMemoryResponse> ResetPeaks(Wire.ResetPeaksRequest request, ServerCallContext context)
    {
        if (Name(request.Model) is null)
        {
            GC.Collect(GC.MaxGeneration, GCCollectionMode.Aggressive, blocking: true, compacting: true);
        }

        return AdminMapping.ToMessage(await models.MemoryAsync(Name(request.Model), resetPeaks: true));
    }

    private static string? Name(string name) => name.Length > 0 ? name : null;
}
