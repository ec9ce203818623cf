using TensorParallel.Protocol.Architectures;

namespace TensorParallel.Protocol.Parallel;

/// <summary>
/// Walks the rows through a model, embedding to head, and says where what a module hands on is not what the next one
/// takes. Whole rows go in and out of every block; in between they may be cut by heads (attention) or by columns (MLP).
/// </summary>
internal sealed class TpDataflow
{
    private readonly ModelSpec _spec;
    private readonly IReadOnlyDictionary<string, TpStyle> _styles;
    private readonly LayerProblems _problems;

    private TpDataflow(ModelSpec spec, IReadOnlyDictionary<string, TpStyle> styles)
    {
        _spec = spec;
        _styles = styles;
        _problems = new LayerProblems(spec.Blocks.Count);
    }

    /// <summary>One sentence a mistake; layers with the same one share it.</summary>
    public static IReadOnlyList<string> Obstacles(ModelSpec spec, IReadOnlyDictionary<string, TpStyle> styles)
    {
        var walk = new TpDataflow(spec, styles);
        if (styles.Values.All(style => style.WeightDim is null))
        {
            return
            [
                "The tp plan cuts nothing: every rank would hold and compute the whole model; name the projections " +
                "of attention and MLP in it, or use \"auto\".",
            ];
        }

        walk.Embedding();
        for (var layer = 0; layer < spec.Blocks.Count; layer++)
        {
            walk.Block(layer, spec.Blocks[layer]);
        }

        walk.Head();
        return walk._problems.Sentences();
    }

    private void Embedding()
    {
        var style = _styles[_spec.Embedding.Name];
        if (!style.Targets.HasFlag(TpTargets.Embedding))
        {
            _problems.Add(
                _spec.Embedding.Name, $"{style.Name} does not cut an embedding; use embedding_rowwise or replicate.");
        }
    }

    private void Block(int layer, BlockSpec block)
    {
        Norm(layer, block, block.InputNorm);
        Norm(layer, block, block.PostAttentionNorm);
        var attention = block.Attention;
        Branch(layer, block, [attention.Query, attention.Key, attention.Value], attention.Output, "heads");
        Branch(layer, block, [block.Mlp.Gate, block.Mlp.Up], block.Mlp.Down, "columns");
    }

    // Whole rows -> inputs (all alike) -> attention or activation -> output -> whole rows.
    private void Branch(int layer, BlockSpec block, LinearSpec[] inputs, LinearSpec output, string unit)
    {
        var fits = true;
        foreach (var linear in inputs.Append(output))
        {
            fits &= Fits(layer, block, linear);
        }

        if (!fits)
        {
            return;
        }

        foreach (var linear in inputs.Where(linear => _styles[linear.Name].InputLayout == ActivationLayout.Sharded))
        {
            Add(layer, block, linear, $"{_styles[linear.Name].Name} takes cut rows, but the norm before it hands on " +
                "whole ones; use colwise or rowwise_split_input.");
        }

        var layouts = inputs.Select(linear => _styles[linear.Name].OutputLayout).Distinct().ToList();
        if (layouts.Count > 1)
        {
            var said = string.Join(", ", inputs.Select(linear => $"{LastName(linear)} {_styles[linear.Name].Name}"));
            Add(layer, block, inputs[0], "it and its neighbours must hand on rows cut alike, but the plan has " +
                $"{said}; give them all colwise, or all colwise_gather_output.");
        }
        else
        {
            Output(layer, block, output, layouts[0], unit);
        }
    }

    private void Output(int layer, BlockSpec block, LinearSpec output, ActivationLayout fedWith, string unit)
    {
        var style = _styles[output.Name];
        if (style.InputLayout != fedWith)
        {
            Add(layer, block, output, fedWith == ActivationLayout.Sharded
                ? $"{style.Name} takes whole rows, but it is fed with rows cut by {unit}; use rowwise."
                : $"{style.Name} takes rows cut by {unit}, but it is fed with whole ones; use rowwise_split_input, " +
                    "or colwise on the layers before it.");
        }
        else if (style.OutputLayout != ActivationLayout.Replicated)
        {
            Add(layer, block, output, $"{style.Name} hands on cut rows, but the sum with the residual takes whole " +
                "ones; use " +
                (fedWith == ActivationLayout.Sharded ? "rowwise." : "colwise_gather_output or rowwise_split_input."));
        }
    }

    private bool Fits(int layer, BlockSpec block, LinearSpec linear)
    {
        var style = _styles[linear.Name];
        var target = linear.PackedParts > 1 ? TpTargets.PackedLinear : TpTargets.Linear;
        if (style.Targets.HasFlag(target))
        {
            return true;
        }

        Add(layer, block, linear, target == TpTargets.PackedLinear
            ? $"{style.Name} would cut through its {linear.PackedParts} stacked parts; use packed_colwise."
            : $"{style.Name} does not fit a plain linear layer; use colwise or rowwise.");
        return false;
    }

    private void Norm(int layer, BlockSpec block, NormSpec norm)
    {
        if (_styles[norm.Name].WeightDim is not null)
        {
            var sentence = $"{_styles[norm.Name].Name} does not cut a norm; leave the key out.";
            _problems.Add(layer, RelativeName(block, norm.Name), sentence);
        }
    }

    private void Head()
    {
        var norm = _styles[_spec.FinalNorm.Name];
        if (norm.WeightDim is not null)
        {
            _problems.Add(_spec.FinalNorm.Name, $"{norm.Name} does not cut a norm; leave the key out.");
        }

        var head = _styles[_spec.OutputHead.Name];
        var embedding = _styles[_spec.Embedding.Name];
        if (!head.Targets.HasFlag(TpTargets.Linear) || head.InputLayout != ActivationLayout.Replicated)
        {
            _problems.Add(
                _spec.OutputHead.Name,
                $"{head.Name} does not fit the output head, which is fed with whole rows; use colwise_gather_output.");
        }
        else if (_spec.TieWordEmbeddings && head.WeightDim != embedding.WeightDim)
        {
            _problems.Add(
                _spec.OutputHead.Name,
                $"it is one table with {_spec.Embedding.Name}, but {head.Name} and {embedding.Name} cut it " +
                "differently; use colwise_gather_output with embedding_rowwise, or replicate for both.");
        }
    }

    private void Add(int layer, BlockSpec block, LinearSpec linear, string sentence) =>
        _problems.Add(layer, RelativeName(block, linear.Name), sentence);

    private static string RelativeName(BlockSpec block, string name) => name[(block.Name.Length + 1)..];

    private static string LastName(LinearSpec linear) => linear.Name[(linear.Name.LastIndexOf('.') + 1)..];
}
