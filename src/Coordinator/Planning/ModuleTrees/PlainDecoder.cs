using TensorParallel.Protocol.Architectures;

namespace TensorParallel.Coordinator.Planning.ModuleTrees;

/// <summary>
/// A Llama of a decoder's sizes: cache and activation buffers of a family that cannot be computed here yet are
/// counted as this one's, an MLP of experts as wide as those that compute a token. Never run.
/// </summary>
internal static class PlainDecoder
{
    // Hugging Face's plan of a plain decoder, the same in Llama, Qwen and Gemma.
    private static readonly KeyValuePair<string, string>[] s_tpPlan =
    [
        new("layers.*.self_attn.q_proj", "colwise"),
        new("layers.*.self_attn.k_proj", "colwise"),
        new("layers.*.self_attn.v_proj", "colwise"),
        new("layers.*.self_attn.o_proj", "rowwise"),
        new("layers.*.mlp.gate_proj", "colwise"),
        new("layers.*.mlp.up_proj", "colwise"),
        new("layers.*.mlp.down_proj", "rowwise"),
        new("lm_head", "colwise_gather_output"),
    ];

    private static readonly KeyValuePair<string, string> s_tiedEmbedding = new("embed_tokens", "embedding_rowwise");

    /// <summary>The model.</summary>
    public static ModelSpec Of(DecoderShape shape)
    {
        var rope = new RopeSpec("default", shape.HeadDim, [], 1);
        return new ModelSpec(
            shape.ModelType,
            shape.Hidden,
            shape.Vocabulary,
            shape.MaxPositions,
            new EmbeddingSpec("model.embed_tokens", shape.Vocabulary, shape.Hidden),
            [.. Enumerable.Range(0, shape.Layers).Select(layer => Block(shape, $"model.layers.{layer}", rope))],
            new NormSpec("model.norm", shape.Hidden, 1e-6f),
            new LinearSpec("lm_head", shape.Hidden, shape.Vocabulary, HasBias: false),
            shape.IsTied,
            shape.IsTied ? [.. s_tpPlan, s_tiedEmbedding] : s_tpPlan);
    }

    private static BlockSpec Block(DecoderShape shape, string name, RopeSpec rope)
    {
        var (hidden, queries, keys) = (shape.Hidden, shape.Heads * shape.HeadDim, shape.KeyValueHeads * shape.HeadDim);
        var width = checked(shape.Intermediate * shape.ActiveExperts);
        return new BlockSpec(
            name,
            new NormSpec($"{name}.input_layernorm", hidden, 1e-6f),
            new AttentionSpec(
                new LinearSpec($"{name}.self_attn.q_proj", hidden, queries, HasBias: false),
                new LinearSpec($"{name}.self_attn.k_proj", hidden, keys, HasBias: false),
                new LinearSpec($"{name}.self_attn.v_proj", hidden, keys, HasBias: false),
                new LinearSpec($"{name}.self_attn.o_proj", queries, hidden, HasBias: false),
                shape.Heads,
                shape.KeyValueHeads,
                shape.HeadDim,
                1,
                rope),
            new NormSpec($"{name}.post_attention_layernorm", hidden, 1e-6f),
            new MlpSpec(
                new LinearSpec($"{name}.mlp.gate_proj", hidden, width, HasBias: false),
                new LinearSpec($"{name}.mlp.up_proj", hidden, width, HasBias: false),
                new LinearSpec($"{name}.mlp.down_proj", width, hidden, HasBias: false),
                ActivationKind.Silu));
    }
}
