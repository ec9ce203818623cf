using TensorParallel.Protocol.Checkpoints;

namespace TensorParallel.Coordinator.Planning.ModuleTrees;

/// <summary>Qwen2 and Qwen2.5: query, key and value always have biases, the output projection never.</summary>
internal sealed class Qwen2Modules : IModuleFamily
{
    public IReadOnlyList<string> ModelTypes { get; } = ["qwen2"];

    public ModuleTree Describe(ModelConfig config)
    {
        var windowed = config.BoolOr("use_sliding_window", false);
        var firstWindowed = config.IntOr("max_window_layers", 28);
        var shape = DecoderShape.Read(config);
        return DecoderFrame.Build(
            windowed ? shape.WithWindows(config, layer => layer >= firstWindowed) : shape,
            new DecoderParts("Qwen2", "input_layernorm", "post_attention_layernorm") { QkvBias = true });
    }
}
