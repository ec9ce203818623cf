using TensorParallel.Protocol.Checkpoints;

namespace TensorParallel.Coordinator.Planning.ModuleTrees;

/// <summary>
/// One model family's modules as transformers names them. Data only: families need not be computable here. To add one:
/// a file and a line in <see cref="ModuleTreeCatalog"/>. Stateless, thread-safe.
/// </summary>
internal interface IModuleFamily
{
    /// <summary>The <c>model_type</c> values of config.json that mean this family.</summary>
    IReadOnlyList<string> ModelTypes { get; }

    /// <summary>The tree of a configuration.</summary>
    /// <exception cref="CheckpointException">A key is missing, of the wrong kind or out of bounds.</exception>
    ModuleTree Describe(ModelConfig config);
}
