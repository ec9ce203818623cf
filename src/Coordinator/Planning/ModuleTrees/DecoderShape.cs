using TensorParallel.Protocol.Checkpoints;

namespace TensorParallel.Coordinator.Planning.ModuleTrees;

/// <summary>The numbers of a decoder's configuration that its memory follows from.</summary>
/// <param name="ModelType">Hugging Face's <c>model_type</c>.</param>
/// <param name="Layers">Decoder layers.</param>
/// <param name="Hidden">Width of the residual stream.</param>
/// <param name="Intermediate">Width of the MLP, or of one expert.</param>
/// <param name="Vocabulary">Rows of the embedding.</param>
/// <param name="Heads">Query heads.</param>
/// <param name="KeyValueHeads">Key/value heads.</param>
/// <param name="HeadDim">Size of a head.</param>
/// <param name="MaxPositions">Longest context in tokens.</param>
/// <param name="IsTied">The output head is the embedding's table.</param>
internal sealed record DecoderShape(
    string ModelType,
    int Layers,
    int Hidden,
    int Intermediate,
    int Vocabulary,
    int Heads,
    int KeyValueHeads,
    int HeadDim,
    int MaxPositions,
    bool IsTied)
{
    // Far above any model, far below what would make a hostile config.json allocate or overflow.
    private const int MaxLayers = 4096;
    private const int MaxWidth = 1 << 24;
    private const int MaxHeadDim = 4096;

    /// <summary>Experts of a layer; 1: the MLP is dense.</summary>
    public int Experts { get; init; } = 1;

    /// <summary>Experts that compute a token.</summary>
    public int ActiveExperts { get; init; } = 1;

    /// <summary>Reads the keys that all families share.</summary>
    /// <param name="config">The configuration.</param>
    /// <param name="headDim">What the family takes for an absent <c>head_dim</c>; null: hidden size over heads.</param>
    /// <param name="tied">What the family takes for an absent <c>tie_word_embeddings</c>.</param>
    /// <exception cref="CheckpointException">A key is missing, of the wrong kind or out of bounds.</exception>
    public static DecoderShape Read(ModelConfig config, int? headDim = null, bool tied = false)
    {
        var hidden = Bounded(config, "hidden_size", config.PositiveInt("hidden_size"), MaxWidth);
        var heads = Bounded(config, "num_attention_heads", config.PositiveInt("num_attention_heads"), MaxWidth);
        var shape = new DecoderShape(
            config.ModelType,
            Bounded(config, "num_hidden_layers", config.PositiveInt("num_hidden_layers"), MaxLayers),
            hidden,
            Bounded(config, "intermediate_size", config.PositiveInt("intermediate_size"), MaxWidth),
            Bounded(config, "vocab_size", config.PositiveInt("vocab_size"), MaxWidth),
            heads,
            config.PositiveIntOr("num_key_value_heads", heads),
            Bounded(config, "head_dim", config.PositiveIntOr("head_dim", headDim ?? Math.Max(1, hidden / heads)), MaxHeadDim),
            Bounded(config, "max_position_embeddings", config.PositiveIntOr("max_position_embeddings", 2048), MaxWidth),
            config.BoolOr("tie_word_embeddings", tied));
        Bounded(config, "num_attention_heads · head_dim", (long)heads * shape.HeadDim, MaxWidth);
        return heads % shape.KeyValueHeads == 0
            ? shape
            : throw new CheckpointException(
                $"{config.Path}: num_attention_heads {heads} is not a multiple of num_key_value_heads " +
                $"{shape.KeyValueHeads}.");
    }

    private static int Bounded(ModelConfig config, string key, long value, int most) => value <= most
        ? (int)value
        : throw new CheckpointException($"{config.Path}: {key} {value} is above {most}, the most that is supported.");
}
