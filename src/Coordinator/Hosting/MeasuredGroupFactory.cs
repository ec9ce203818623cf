using TensorParallel.Coordinator.Workers;

namespace TensorParallel.Coordinator.Hosting;

/// <summary>
/// Remembers the group that was started last, so that its load summary and memory can be shown. Thread-safe.
/// </summary>
internal sealed class MeasuredGroupFactory(WorkerGroupFactory inner) : IWorkerGroupFactory
{
    private volatile WorkerGroup? _current;

    /// <summary>The group started last; null before the first. It may have been lost meanwhile.</summary>
    public WorkerGroup? Current => _current;

    /// <inheritdoc/>
    public async Task<IWorkerGroup> StartAsync(CancellationToken cancellationToken)
    {
        var group = await inner.StartGroupAsync(cancellationToken);
        _current = group;
        return group;
    }
}
