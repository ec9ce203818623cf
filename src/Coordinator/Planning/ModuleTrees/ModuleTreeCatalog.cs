using TensorParallel.Protocol.Checkpoints;

namespace TensorParallel.Coordinator.Planning.ModuleTrees;

/// <summary>The families whose modules are known.</summary>
internal static class ModuleTreeCatalog
{
    /// <summary>One entry a family.</summary>
    public static IReadOnlyList<IModuleFamily> All { get; } =
        [new LlamaModules(), new Qwen2Modules(), new Qwen3Modules(), new Gemma2Modules(), new MixtralModules()];

    /// <summary>The tree of a configuration, whatever its family.</summary>
    /// <exception cref="CheckpointException">No known family, or a configuration that its family refuses.</exception>
    public static ModuleTree Describe(ModelConfig config) => Find(config) ?? throw new CheckpointException(
        $"{config.Path}: the modules of model_type {Quote.Of(config.ModelType)} are not known here; known are: " +
        $"{string.Join(", ", All.SelectMany(family => family.ModelTypes))}.");

    /// <inheritdoc cref="Describe"/>
    /// <returns>Null for a family that is not known.</returns>
    public static ModuleTree? Find(ModelConfig config) =>
        All.FirstOrDefault(family => family.ModelTypes.Contains(config.ModelType))?.Describe(config);
}
