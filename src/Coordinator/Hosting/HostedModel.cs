using TensorParallel.Coordinator.Sharing;

namespace TensorParallel.Coordinator.Hosting;

/// <summary>A model of the registry. Thread-safe.</summary>
/// <param name="host">Runs it.</param>
/// <param name="shared">Its account with the devices.</param>
internal sealed class HostedModel(ModelHost host, SharedModel shared)
{
    private readonly Ending _ending = new(() => host.DisposeAsync().AsTask());
    private int _isUnloading;

    /// <summary>Runs it.</summary>
    public ModelHost Host => host;

    /// <summary>Its account with the devices.</summary>
    public SharedModel Shared => shared;

    /// <summary>Its name.</summary>
    public string Name => host.Model.Name;

    /// <summary>Its workers are started for the first time.</summary>
    public bool IsLoading { get; set; } = true;

    /// <summary>Somebody ends it.</summary>
    public bool IsUnloading => Volatile.Read(ref _isUnloading) != 0;

    /// <summary>Begins to end it; false: somebody else has.</summary>
    public bool TryUnload() => Interlocked.Exchange(ref _isUnloading, 1) == 0;

    /// <summary>It could not be ended: somebody may try again.</summary>
    public void UnloadFailed() => Volatile.Write(ref _isUnloading, 0);

    /// <summary>Ends it; completes when no process is left. Several callers wait for the same end; after one that failed, the next tries again.</summary>
    public Task EndAsync() => _ending.RunAsync();
}
