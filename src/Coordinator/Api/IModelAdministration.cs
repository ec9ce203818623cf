using TensorParallel.Coordinator.Engine;

namespace TensorParallel.Coordinator.Api;

/// <summary>Loads, unloads and reports models. Thread-safe.</summary>
internal interface IModelAdministration
{
    /// <summary>Loads a model; returns when it serves. Throws what is wrong with it; other models serve on.</summary>
    Task<ModelReport> LoadAsync(ModelLoading loading, CancellationToken cancellationToken);

    /// <summary>
    /// Ends a model; returns when its workers are gone. Requests get <paramref name="grace"/> to finish, null: the server's own.
    /// </summary>
    /// <exception cref="ModelNotFoundException">There is no such model.</exception>
    Task UnloadAsync(string name, TimeSpan? grace);

    /// <summary>All models, in the order in which they were given; the first is the default.</summary>
    IReadOnlyList<ModelReport> Models();

    /// <summary>Memory of all models, or of one.</summary>
    /// <param name="name">Null: all.</param>
    /// <param name="resetPeaks">First collect garbage and count peaks anew.</param>
    /// <exception cref="ModelNotFoundException">There is no such model.</exception>
    Task<IReadOnlyList<ModelMemoryReport>> MemoryAsync(string? name, bool resetPeaks);
}
