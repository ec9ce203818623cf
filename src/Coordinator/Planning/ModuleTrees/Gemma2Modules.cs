using TensorParallel.Protocol.Checkpoints;

namespace TensorParallel.Coordinator.Planning.ModuleTrees;

/// <summary>Gemma 2: tied unless configured, four norms a layer, and a scale in the embedding.</summary>
internal sealed class Gemma2Modules : IModuleFamily
{
    private const int DefaultHeadDim = 256;

    public IReadOnlyList<string> ModelTypes { get; } = ["gemma2"];

    public ModuleTree Describe(ModelConfig config)
    {
        var attentionBias = config.BoolOr("attention_bias", false);
        return DecoderFrame.Build(
            DecoderShape.Read(config, DefaultHeadDim, tied: true),
            new DecoderParts(
                "Gemma2",
                "input_layernorm",
                "post_attention_layernorm",
                "pre_feedforward_layernorm",
                "post_feedforward_layernorm")
            {
                QkvBias = attentionBias,
                OutputBias = attentionBias,
                EmbeddingClass = "Gemma2TextScaledWordEmbedding",
                EmbeddingBuffers = [TensorNode.Buffer("embed_scale")],
            });
    }
}
