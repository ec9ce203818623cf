using TensorParallel.Protocol.Checkpoints;

namespace TensorParallel.Coordinator.Planning.ModuleTrees;

/// <summary>Qwen3: heads of 128 unless configured, a norm for query heads and one for key heads.</summary>
internal sealed class Qwen3Modules : IModuleFamily
{
    private const int DefaultHeadDim = 128;

    public IReadOnlyList<string> ModelTypes { get; } = ["qwen3"];

    public ModuleTree Describe(ModelConfig config)
    {
        var attentionBias = config.BoolOr("attention_bias", false);
        return DecoderFrame.Build(
            DecoderShape.Read(config, DefaultHeadDim),
            new DecoderParts("Qwen3", "input_layernorm", "post_attention_layernorm")
            {
                QkvBias = attentionBias,
                OutputBias = attentionBias,
                NormedHeads = true,
            });
    }
}
