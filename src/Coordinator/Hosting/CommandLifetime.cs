namespace TensorParallel.Coordinator.Hosting;

/// <summary>A host lifetime that leaves signals alone: the command that runs the host handles them.</summary>
internal sealed class CommandLifetime : IHostLifetime
{
    /// <inheritdoc/>
    public Task WaitForStartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    /// <inheritdoc/>
    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
}
