using TensorParallel.Protocol.Checkpoints;

namespace TensorParallel.Protocol.Architectures;

/// <summary>
/// One model family as data. An implementation reads config.json and says which modules there are; it never computes.
/// To add a family: one file here, one line in <see cref="ArchitectureCatalog"/>. Stateless, thread-safe.
/// </summary>
public interface IArchitecture
{
    /// <summary>The <c>model_type</c> values of config.json that mean this family.</summary>
    IReadOnlyList<string> ModelTypes { get; }

    /// <summary>The model that a configuration describes.</summary>
    /// <exception cref="CheckpointException">
    /// A key is missing or of the wrong kind, or the values contradict each other; the latter are reported all at once.
    /// </exception>
    ModelSpec Describe(ModelConfig config);
}
