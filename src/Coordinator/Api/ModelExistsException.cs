namespace TensorParallel.Coordinator.Api;

/// <summary>The name of a model to load is taken.</summary>
/// <param name="name">The name.</param>
internal sealed class ModelExistsException(string name)
    : Exception($"There is a model {name} already: unload it first, or give another name.");
