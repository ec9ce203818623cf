namespace TensorParallel.Coordinator.Hosting;

/// <summary>What a registry of models works by.</summary>
/// <param name="Defaults">The command line: what callers do not say.</param>
/// <param name="Roots">Folders that callers may name.</param>
/// <param name="Grace">What requests get to finish when their model is unloaded.</param>
internal sealed record ModelRegistryOptions(ModelArguments Defaults, ModelRoots Roots, TimeSpan Grace);
