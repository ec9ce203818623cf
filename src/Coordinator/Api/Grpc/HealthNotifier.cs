using Grpc.Health.V1;
using Grpc.HealthCheck;
using TensorParallel.Coordinator.Engine;

namespace TensorParallel.Coordinator.Api.Grpc;

/// <summary>
/// Keeps the health service's state: that of the server and of the public service, serving while any model is, and that of each model.
/// Those who watch are told of each change when it happens.
/// </summary>
/// <param name="models">What is served.</param>
/// <param name="health">The standard service's state.</param>
internal sealed class HealthNotifier(ServedModels models, HealthServiceImpl health) : IHostedService
{
    private readonly Lock _lock = new();
    private readonly HashSet<string> _told = [];

    /// <summary>The public service.</summary>
    private static string ServiceName => Protocol.Wire.Inference.Inference.Descriptor.FullName;

    /// <inheritdoc/>
    public Task StartAsync(CancellationToken cancellationToken)
    {
        models.Changed += Publish;
        Publish();
        return Task.CompletedTask;
    }

    /// <inheritdoc/>
    public Task StopAsync(CancellationToken cancellationToken)
    {
        models.Changed -= Publish;
        return Task.CompletedTask;
    }

    /// <summary>Name under which a model's health is asked for.</summary>
    public static string NameOf(ServedModel model) => $"{ServiceName}/{model.Info.Name}";

    // The present state, read inside the lock: of two notices at a time the later one cannot be overwritten by the
    // earlier.
    private void Publish()
    {
        lock (_lock)
        {
            var all = models.All.ToDictionary(NameOf, model => model.Engine.State == EngineState.Ready);
            var any = all.Values.Any(ready => ready);
            foreach (var name in (string[])[string.Empty, ServiceName])
            {
                health.SetStatus(name, StatusOf(any));
            }

            foreach (var (name, ready) in all)
            {
                health.SetStatus(name, StatusOf(ready));
            }

            foreach (var gone in _told.Except(all.Keys).ToList())
            {
                health.ClearStatus(gone);
                _told.Remove(gone);
            }

            _told.UnionWith(all.Keys);
        }
    }

    private static HealthCheckResponse.Types.ServingStatus StatusOf(bool ready) => ready
        ? HealthCheckResponse.Types.ServingStatus.Serving
        : HealthCheckResponse.Types.ServingStatus.NotServing;
}
