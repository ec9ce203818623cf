using TensorParallel.Protocol.Checkpoints;

namespace TensorParallel.Protocol.Architectures;

/// <summary>The model families that this runtime knows.</summary>
public static class ArchitectureCatalog
{
    /// <summary>One entry a family.</summary>
    public static IReadOnlyList<IArchitecture> All { get; } = [new LlamaArchitecture()];

    /// <summary>Every known <c>model_type</c>, in the order of <see cref="All"/>.</summary>
    public static IReadOnlyList<string> ModelTypes { get; } = [.. All.SelectMany(a => a.ModelTypes)];

    /// <summary>Describes the model of a configuration, whatever its family.</summary>
    /// <exception cref="CheckpointException">
    /// No known family, quantized weights, or a configuration that its family refuses.
    /// </exception>
    public static ModelSpec Describe(ModelConfig config)
    {
        var architecture = All.FirstOrDefault(a => a.ModelTypes.Contains(config.ModelType))
            ?? throw new CheckpointException(
                $"{config.Path}: the model_type {Quote.Of(config.ModelType)} is not known here; known are: " +
                $"{string.Join(", ", ModelTypes)}.");
        return config.QuantMethod is { } method
            ? throw new CheckpointException(
                $"{config.Path}: the weights are quantized ({Quote.Of(method)}), which cannot be run yet; use the " +
                "checkpoint in bfloat16, float16 or float32.")
            : architecture.Describe(config);
    }
}
