using TensorParallel.Protocol.Architectures.Rope;
using TensorParallel.Protocol.Checkpoints;

namespace TensorParallel.Protocol.Architectures;

/// <summary>Llama 2, 3, 3.1, 3.2 and models of their shape: <c>LlamaForCausalLM</c>.</summary>
internal sealed class LlamaArchitecture : IArchitecture
{
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

    // One table serves both ends, so both must be cut by vocabulary: transformers injects this key too.
    private static readonly KeyValuePair<string, string> s_tiedEmbedding = new("embed_tokens", "embedding_rowwise");

    public IReadOnlyList<string> ModelTypes { get; } = ["llama"];

    public ModelSpec Describe(ModelConfig config)
    {
        var sizes = LlamaSizes.Read(config);
        var rope = RopeTypeCatalog.Read(config, sizes.HeadDim, sizes.MaxPositionEmbeddings);
        var activation = ActivationNames.Read(config, "hidden_act", "silu");
        var tied = config.BoolOr("tie_word_embeddings", false);
        return new ModelSpec(
            config.ModelType,
            sizes.Hidden,
            sizes.Vocabulary,
            sizes.MaxPositionEmbeddings,
            new EmbeddingSpec("model.embed_tokens", sizes.Vocabulary, sizes.Hidden),
            [.. Enumerable.Range(0, sizes.Layers).Select(i => Block(sizes, $"model.layers.{i}", rope, activation))],
            new NormSpec("model.norm", sizes.Hidden, sizes.Epsilon),
            new LinearSpec("lm_head", sizes.Hidden, sizes.Vocabulary, HasBias: false),
            tied,
            tied ? [.. s_tpPlan, s_tiedEmbedding] : s_tpPlan);
    }

    private static BlockSpec Block(LlamaSizes s, string name, RopeSpec rope, ActivationKind activation) => new(
        name,
        new NormSpec($"{name}.input_layernorm", s.Hidden, s.Epsilon),
        Attention(s, $"{name}.self_attn", rope),
        new NormSpec($"{name}.post_attention_layernorm", s.Hidden, s.Epsilon),
        new MlpSpec(
            new LinearSpec($"{name}.mlp.gate_proj", s.Hidden, s.Intermediate, s.MlpBias),
            new LinearSpec($"{name}.mlp.up_proj", s.Hidden, s.Intermediate, s.MlpBias),
            new LinearSpec($"{name}.mlp.down_proj", s.Intermediate, s.Hidden, s.MlpBias),
            activation));

    private static AttentionSpec Attention(LlamaSizes s, string name, RopeSpec rope) => new(
        new LinearSpec($"{name}.q_proj", s.Hidden, s.Heads * s.HeadDim, s.AttentionBias),
        new LinearSpec($"{name}.k_proj", s.Hidden, s.KeyValueHeads * s.HeadDim, s.AttentionBias),
        new LinearSpec($"{name}.v_proj", s.Hidden, s.KeyValueHeads * s.HeadDim, s.AttentionBias),
        new LinearSpec($"{name}.o_proj", s.Heads * s.HeadDim, s.Hidden, s.AttentionBias),
        s.Heads,
        s.KeyValueHeads,
        s.HeadDim,
        (float)(1 / Math.Sqrt(s.HeadDim)),
        rope);
}
