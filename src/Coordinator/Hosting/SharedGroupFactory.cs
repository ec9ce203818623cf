using TensorParallel.Coordinator.Sharing;
using TensorParallel.Coordinator.Workers;

namespace TensorParallel.Coordinator.Hosting;

/// <summary>Starts groups once there is room on their devices. Thread-safe.</summary>
/// <param name="inner">Starts them.</param>
/// <param name="shared">The model's account with the devices.</param>
/// <param name="started">Told of each start: a group that replaces one lost in the host's memory is on its devices.</param>
internal sealed class SharedGroupFactory(IWorkerGroupFactory inner, SharedModel shared, Action started) : IWorkerGroupFactory
{
    /// <inheritdoc/>
    public Task<IWorkerGroup> StartAsync(CancellationToken cancellationToken) => shared.StartAsync(
        async stop =>
        {
            var group = await inner.StartAsync(stop);
            started();
            return group;
        },
        cancellationToken);
}
