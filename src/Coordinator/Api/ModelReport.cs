using TensorParallel.Coordinator.Engine;
using TensorParallel.Coordinator.Workers;

namespace TensorParallel.Coordinator.Api;

/// <summary>A model and how it stands.</summary>
/// <param name="Folder">Where it was loaded from.</param>
/// <param name="State">In a word.</param>
/// <param name="Place">Where its weights are: none, devices or host.</param>
/// <param name="Info">What it is.</param>
/// <param name="Statistics">What its engine does.</param>
internal sealed record ModelReport(string Folder, string State, string Place, ModelInfo Info, EngineStatistics Statistics)
{
    /// <summary>It makes room for others while it is idle.</summary>
    public bool IsEvictable { get; init; }

    /// <summary>Times it has done so.</summary>
    public int Evictions { get; init; }

    /// <summary>The last time; null: never.</summary>
    public MoveSummary? LastEviction { get; init; }

    /// <summary>The last time it came back; null: never.</summary>
    public MoveSummary? LastRestore { get; init; }
}
