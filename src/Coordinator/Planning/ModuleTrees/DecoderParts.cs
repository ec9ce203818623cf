namespace TensorParallel.Coordinator.Planning.ModuleTrees;

/// <summary>What a family's decoder has beside the common frame; <see cref="DecoderFrame"/> builds the tree.</summary>
/// <param name="Family">Prefix of its Python classes: <c>Llama</c> gives <c>LlamaDecoderLayer</c>.</param>
/// <param name="LayerNorms">Norms of a layer, after attention and MLP, in the order of definition.</param>
internal sealed record DecoderParts(string Family, params IReadOnlyList<string> LayerNorms)
{
    /// <summary>Query, key and value projections have biases.</summary>
    public bool QkvBias { get; init; }

    /// <summary>The output projection has one.</summary>
    public bool OutputBias { get; init; }

    /// <summary>The MLP's layers have biases.</summary>
    public bool MlpBias { get; init; }

    /// <summary>Each query and key head is normed by one vector of its size.</summary>
    public bool NormedHeads { get; init; }

    /// <summary>Replaces the dense MLP.</summary>
    public ModuleNode? Mlp { get; init; }

    /// <summary>The embedding's class, where it is not torch's.</summary>
    public string EmbeddingClass { get; init; } = "Embedding";

    /// <summary>Buffers of the embedding.</summary>
    public IReadOnlyList<TensorNode> EmbeddingBuffers { get; init; } = [];
}
