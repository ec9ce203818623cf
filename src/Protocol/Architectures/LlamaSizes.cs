using TensorParallel.Protocol.Checkpoints;

namespace TensorParallel.Protocol.Architectures;

/// <summary>
/// The numbers of a Llama configuration, checked against each other and against bounds that keep products in 32 bits.
/// </summary>
internal sealed record LlamaSizes(
    int Layers,
    int Hidden,
    int Intermediate,
    int Vocabulary,
    int Heads,
    int KeyValueHeads,
    int HeadDim,
    int MaxPositionEmbeddings,
    float Epsilon,
    bool AttentionBias,
    bool MlpBias)
{
    // Far above any model, far below what would make a hostile config.json allocate before a weight is seen.
    private const int MaxLayers = 4096;
    private const int MaxWidth = 1 << 24;
    private const int MaxHeadDim = 4096;

    /// <exception cref="CheckpointException">
    /// All contradictions at once, or the first key that cannot be read.
    /// </exception>
    public static LlamaSizes Read(ModelConfig config)
    {
        var hidden = config.PositiveInt("hidden_size");
        var heads = config.PositiveInt("num_attention_heads");
        var sizes = new LlamaSizes(
            config.PositiveInt("num_hidden_layers"),
            hidden,
            config.PositiveInt("intermediate_size"),
            config.PositiveInt("vocab_size"),
            heads,
            config.PositiveIntOr("num_key_value_heads", heads),
            config.PositiveIntOr("head_dim", Math.Max(1, hidden / heads)),
            config.PositiveIntOr("max_position_embeddings", 2048),
            (float)config.PositiveDoubleOr("rms_norm_eps", 1e-6),
            config.BoolOr("attention_bias", false),
            config.BoolOr("mlp_bias", false));
        var problems = sizes.Problems(config.Has("head_dim")).ToList();
        return problems.Count == 0
            ? sizes
            : throw new CheckpointException(
                string.Join(Environment.NewLine, problems.Select(problem => $"{config.Path}: {problem}")));
    }

    private IEnumerable<string> Problems(bool headDimIsWritten)
    {
        if (!headDimIsWritten && Hidden % Heads != 0)
        {
            yield return $"hidden_size {Hidden} is not a multiple of num_attention_heads {Heads}, and head_dim is " +
                "not given.";
        }

        if (Heads % KeyValueHeads != 0)
        {
            yield return $"num_attention_heads {Heads} is not a multiple of num_key_value_heads {KeyValueHeads}.";
        }

        if (HeadDim % 2 != 0)
        {
            yield return $"head_dim {HeadDim} is odd, but rotary embedding turns pairs of dimensions.";
        }

        foreach (var (key, value, bound) in Bounds())
        {
            if (value > bound)
            {
                yield return $"{key} {value} is above {bound}, the most that is supported.";
            }
        }
    }

    private IEnumerable<(string Key, long Value, long Bound)> Bounds() =>
    [
        ("num_hidden_layers", Layers, MaxLayers),
        ("hidden_size", Hidden, MaxWidth),
        ("intermediate_size", Intermediate, MaxWidth),
        ("vocab_size", Vocabulary, MaxWidth),
        ("max_position_embeddings", MaxPositionEmbeddings, MaxWidth),
        ("head_dim", HeadDim, MaxHeadDim),
        ("num_attention_heads · head_dim", (long)Heads * HeadDim, MaxWidth),
    ];
}
