using TensorParallel.Coordinator.Engine;
using TensorParallel.Coordinator.Workers;

namespace TensorParallel.Coordinator.Sharing;

/// <summary>
/// One model's account with <see cref="SharedDevices"/>, which alone changes it, under its lock. Methods are thread-safe.
/// </summary>
/// <param name="devices">Where it is an account.</param>
/// <param name="name">The model's name.</param>
/// <param name="need">What it needs.</param>
/// <param name="isEvictable">It may be taken off the devices while nobody uses it.</param>
internal sealed class SharedModel(SharedDevices devices, string name, SharedNeed need, bool isEvictable) : IDeviceTurns
{
    /// <summary>The model's name.</summary>
    public string Name => name;

    /// <summary>What it needs.</summary>
    public SharedNeed Need => need;

    /// <summary>It may be taken off the devices while nobody uses it.</summary>
    public bool IsEvictable => isEvictable;

    /// <summary>Moves it; set before the first start.</summary>
    public IModelMoves? Moves { get; set; }

    /// <summary>Where it is.</summary>
    public ModelPlace Place { get; internal set; }

    /// <summary>Its present workers have been off their devices: the host memory for that is theirs.</summary>
    public bool HasHostCopy { get; internal set; }

    /// <summary>It is on its way off the devices: no turn begins.</summary>
    public bool IsLeaving { get; internal set; }

    /// <summary>No turn begins any more, but to those who wait already.</summary>
    public bool IsClosed { get; internal set; }

    /// <summary>Turns that have not ended.</summary>
    public int Turns { get; internal set; }

    /// <summary>When the last turn ended, by the devices' own count.</summary>
    public long LastTurn { get; internal set; }

    /// <summary>Times it was taken off the devices.</summary>
    public int Evictions { get; internal set; }

    /// <summary>The last time it was; null: never.</summary>
    public MoveSummary? LastEviction { get; internal set; }

    /// <summary>The last time it was brought back; null: never.</summary>
    public MoveSummary? LastRestore { get; internal set; }

    /// <summary>Completes when nobody has or awaits a turn any more; null while nobody asks.</summary>
    internal TaskCompletionSource? Idle { get; set; }

    /// <inheritdoc/>
    public ValueTask<IDisposable> EnterAsync(CancellationToken cancellationToken) => devices.EnterAsync(this, cancellationToken);

    /// <summary>Starts the workers once there is room for them; while that runs, the model is not evicted.</summary>
    public Task<T> StartAsync<T>(Func<CancellationToken, Task<T>> start, CancellationToken cancellationToken) =>
        devices.StartAsync(this, start, cancellationToken);

    /// <summary>No request begins any more; completes when those that began or wait are done.</summary>
    public Task CloseAsync() => devices.CloseAsync(this);

    /// <summary>The workers are gone: the memory is free, and whoever waits is refused.</summary>
    public void Remove() => devices.Remove(this);
}
