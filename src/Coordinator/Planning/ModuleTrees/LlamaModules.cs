using TensorParallel.Protocol.Checkpoints;

namespace TensorParallel.Coordinator.Planning.ModuleTrees;

/// <summary>Llama 2, 3, 3.1, 3.2: biases by configuration, on all four projections alike.</summary>
internal sealed class LlamaModules : IModuleFamily
{
    public IReadOnlyList<string> ModelTypes { get; } = ["llama"];

    public ModuleTree Describe(ModelConfig config)
    {
        var attentionBias = config.BoolOr("attention_bias", false);
        return DecoderFrame.Build(
            DecoderShape.Read(config),
            new DecoderParts("Llama", "input_layernorm", "post_attention_layernorm")
            {
                QkvBias = attentionBias,
                OutputBias = attentionBias,
                MlpBias = config.BoolOr("mlp_bias", false),
            });
    }
}
