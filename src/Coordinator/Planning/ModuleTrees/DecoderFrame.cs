namespace TensorParallel.Coordinator.Planning.ModuleTrees;

/// <summary>
/// The frame that all decoder families of transformers share: <c>model</c> with embedding, layers, norm and rotary
/// embedding, and <c>lm_head</c>. Modules that hold nothing (activations) are left out: no size and no map depends
/// on them.
/// </summary>
internal static class DecoderFrame
{
    private const string TokenEmbedding = "model.embed_tokens.weight";
    private const string HeadWeight = "lm_head.weight";

    /// <summary>The tree of a family.</summary>
    public static ModuleTree Build(DecoderShape shape, DecoderParts parts)
    {
        var (vocabulary, hidden) = (shape.Vocabulary, shape.Hidden);
        var layer = Layer(shape, parts);
        var embeddingCut = shape.IsTied ? TensorCut.Vocabulary : TensorCut.Whole;
        var model = ModuleNode.Of(
            $"{parts.Family}Model",
            new("embed_tokens", ModuleNode.Leaf(
                parts.EmbeddingClass,
                [TensorNode.Parameter("weight", embeddingCut, vocabulary, hidden), .. parts.EmbeddingBuffers])),
            new("layers", ModuleNode.Of(
                "ModuleList",
                [.. Enumerable.Range(0, shape.Layers).Select(i => KeyValuePair.Create($"{i}", layer))])),
            new("norm", Norm(parts, hidden)),
            new("rotary_emb", RotaryEmbedding(shape, parts)));
        var head = ModuleNode.Leaf("Linear", TensorNode.Parameter("weight", TensorCut.Vocabulary, vocabulary, hidden));
        return new ModuleTree(
            ModuleNode.Of($"{parts.Family}ForCausalLM", new("model", model), new("lm_head", head)),
            [$"{parts.Family}DecoderLayer"],
            shape.IsTied ? [[TokenEmbedding, HeadWeight]] : [],
            shape);
    }

    private static ModuleNode Layer(DecoderShape shape, DecoderParts parts) => ModuleNode.Of(
        $"{parts.Family}DecoderLayer",
        [
            new("self_attn", Attention(shape, parts)),
            new("mlp", parts.Mlp ?? DenseMlp(shape, parts)),
            .. parts.LayerNorms.Select(name => KeyValuePair.Create(name, Norm(parts, shape.Hidden))),
        ]);

    private static ModuleNode Attention(DecoderShape shape, DecoderParts parts)
    {
        long hidden = shape.Hidden, queries = (long)shape.Heads * shape.HeadDim, keys = (long)shape.KeyValueHeads * shape.HeadDim;
        var output = new List<TensorNode> { TensorNode.Parameter("weight", TensorCut.QueryHeads, hidden, queries) };
        if (parts.OutputBias)
        {
            output.Add(TensorNode.Parameter("bias", TensorCut.Whole, hidden));
        }

        List<KeyValuePair<string, ModuleNode>> children =
        [
            new("q_proj", Rows(TensorCut.QueryHeads, queries, hidden, parts.QkvBias)),
            new("k_proj", Rows(TensorCut.KeyValueHeads, keys, hidden, parts.QkvBias)),
            new("v_proj", Rows(TensorCut.KeyValueHeads, keys, hidden, parts.QkvBias)),
            new("o_proj", ModuleNode.Leaf("Linear", [.. output])),
        ];
        if (parts.NormedHeads)
        {
            children.Add(new("q_norm", Norm(parts, shape.HeadDim)));
            children.Add(new("k_norm", Norm(parts, shape.HeadDim)));
        }

        return ModuleNode.Of($"{parts.Family}Attention", [.. children]);
    }

    private static ModuleNode DenseMlp(DecoderShape shape, DecoderParts parts)
    {
        var (hidden, width) = (shape.Hidden, shape.Intermediate);
        var down = new List<TensorNode> { TensorNode.Parameter("weight", TensorCut.MlpColumns, hidden, width) };
        if (parts.MlpBias)
        {
            down.Add(TensorNode.Parameter("bias", TensorCut.Whole, hidden));
        }

        return ModuleNode.Of(
            $"{parts.Family}MLP",
            new("gate_proj", Rows(TensorCut.MlpColumns, width, hidden, parts.MlpBias)),
            new("up_proj", Rows(TensorCut.MlpColumns, width, hidden, parts.MlpBias)),
            new("down_proj", ModuleNode.Leaf("Linear", [.. down])));
    }

    // Cut by output rows: the bias is cut with them.
    private static ModuleNode Rows(TensorCut cut, long rows, long columns, bool hasBias)
    {
        var weight = TensorNode.Parameter("weight", cut, rows, columns);
        return hasBias
            ? ModuleNode.Leaf("Linear", weight, TensorNode.Parameter("bias", cut, rows))
            : ModuleNode.Leaf("Linear", weight);
    }

    private static ModuleNode Norm(DecoderParts parts, long size) =>
        ModuleNode.Leaf($"{parts.Family}RMSNorm", TensorNode.Parameter("weight", TensorCut.Whole, size));

    // One frequency a pair of dimensions, and a copy of the first ones for ropes that change theirs.
    private static ModuleNode RotaryEmbedding(DecoderShape shape, DecoderParts parts) => ModuleNode.Leaf(
        $"{parts.Family}RotaryEmbedding",
        TensorNode.Buffer("inv_freq", shape.HeadDim / 2),
        TensorNode.Buffer("original_inv_freq", shape.HeadDim / 2));
}
