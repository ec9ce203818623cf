using Grpc.Health.V1;
using Grpc.HealthCheck;
using TensorParallel.Coordinator.Engine;

namespace TensorParallel.Coordinator.Api.Grpc;

/// <summary>
/// Tells those who watch the health service each change of the engine when it happens; the framework's own publisher
/// would look every half minute.
/// </summary>
/// <param name="model">What is served.</param>
/// <param name="health">The standard service's state.</param>
internal sealed class HealthNotifier(ServedModel model, HealthServiceImpl health) : IHostedService
{
    private readonly Lock _lock = new();

    /// <summary>Services whose health is the engine's; the empty name is the whole server.</summary>
    public static IReadOnlyList<string> ServiceNames { get; } =
        [string.Empty, Protocol.Wire.Inference.Inference.Descriptor.FullName];

    /// <inheritdoc/>
    public Task StartAsync(CancellationToken cancellationToken)
    {
        model.Engine.StateChanged += OnStateChanged;
        Publish();
        return Task.CompletedTask;
    }

    /// <inheritdoc/>
    public Task StopAsync(CancellationToken cancellationToken)
    {
        model.Engine.StateChanged -= OnStateChanged;
        return Task.CompletedTask;
    }

    private void OnStateChanged(EngineState state) => Publish();

    // The present state, read inside the lock: of two notices at a time the later one cannot be overwritten by the
    // earlier.
    private void Publish()
    {
        lock (_lock)
        {
            var status = model.Engine.State == EngineState.Ready
                ? HealthCheckResponse.Types.ServingStatus.Serving
                : HealthCheckResponse.Types.ServingStatus.NotServing;
            foreach (var name in ServiceNames)
            {
                health.SetStatus(name, status);
            }
        }
    }
}
