using TensorParallel.Protocol.Checkpoints;

namespace TensorParallel.Coordinator.Planning.ModuleTrees;

/// <summary>Qwen2 and Qwen2.5: query, key and value always have biases, the output projection never.</summary>
internal sealed class Qwen2Modules : IModuleFamily
{
    public IReadOnlyList<string> ModelTypes { get; } = ["qwen2"];

    public ModuleTree Describe(ModelConfig config) => DecoderFrame.Build(
        DecoderShape.Read(config),
        new DecoderParts("Qwen2", "input_layernorm", "post_attention_layernorm") { QkvBias = true });
}
