using Microsoft.Extensions.Diagnostics.HealthChecks;
using TensorParallel.Coordinator.Engine;

namespace TensorParallel.Coordinator.Api.Grpc;

/// <summary>Healthy while the engine is ready.</summary>
/// <param name="model">What is served.</param>
internal sealed class EngineHealthCheck(ServedModel model) : IHealthCheck
{
    /// <inheritdoc/>
    public Task<HealthCheckResult> CheckHealthAsync(
        HealthCheckContext context, CancellationToken cancellationToken = default)
    {
        var state = model.Engine.State;
        return Task.FromResult(state == EngineState.Ready
            ? HealthCheckResult.Healthy($"{state}")
            : HealthCheckResult.Unhealthy($"{state}"));
    }
}
