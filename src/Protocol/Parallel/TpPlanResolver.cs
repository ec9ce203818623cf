using TensorParallel.Protocol.Architectures;
using TensorParallel.Protocol.Checkpoints;

namespace TensorParallel.Protocol.Parallel;

/// <summary>Lays a <see cref="TpPlan"/> over a <see cref="ModelSpec"/>. Used once.</summary>
internal sealed class TpPlanResolver
{
    private readonly ModelSpec _spec;
    private readonly TpPlan _plan;
    private readonly Dictionary<string, TpStyle> _styles = [];
    private readonly HashSet<TpRule> _used = [];
    private readonly HashSet<string> _unnamed = [];
    private readonly List<string> _notes = [];
    private readonly List<string> _problems;
    private bool _hasUnknownStyles;

    private TpPlanResolver(ModelSpec spec, TpPlan plan)
    {
        _spec = spec;
        _plan = plan;
        _problems = [.. plan.Problems];
    }

    /// <summary>Every module's style, and everything that is wrong.</summary>
    public static ResolvedTpPlan Resolve(ModelSpec spec, TpPlan plan) => new TpPlanResolver(spec, plan).Resolve();

    private ResolvedTpPlan Resolve()
    {
        var tensors = ModelSpecTensors.Of(_spec).ToList();
        foreach (var module in tensors.GroupBy(tensor => ModuleOf(tensor.Name)))
        {
            ResolveModule(module.Key, [.. module.Select(tensor => tensor.Name)]);
        }

        ResolveEnds();
        NoteUnnamed();
        ReportUnused(tensors);
        var obstacles = _hasUnknownStyles ? [] : TpDataflow.Obstacles(_spec, _styles);
        return new(_plan.Source, _styles, _notes, [.. _problems.Distinct()], obstacles);
    }

    // The weight decides; a bias follows it, and may not be told otherwise.
    private void ResolveModule(string module, string[] parameters)
    {
        var weight = Match(parameters[0]);
        foreach (var bias in parameters.Skip(1))
        {
            var rule = Match(bias);
            if (rule is not null && rule.Style != weight?.Style)
            {
                _problems.Add(
                    $"{Quote.Of(rule.Key.Text)}: {TpKey.Generalize(bias)} must be cut as its weight is; leave the " +
                    "key out.");
            }
        }

        if (weight is null)
        {
            _unnamed.Add(module);
        }
        else if (weight.Style is null)
        {
            _hasUnknownStyles = true;
        }

        _styles[module] = weight?.Style ?? TpStyleCatalog.Replicate;
    }

    private TpRule? Match(string parameter)
    {
        var rule = _plan.Match(parameter);
        if (rule is not null)
        {
            _used.Add(rule);
        }

        return rule;
    }

    // rowwise on an embedding is transformers' older word for embedding_rowwise.
    private void ResolveEnds()
    {
        var embedding = _spec.Embedding.Name;
        if (_styles[embedding].Name == "rowwise")
        {
            _styles[embedding] = TpStyleCatalog.EmbeddingRowwise;
        }

        if (_spec.TieWordEmbeddings)
        {
            ResolveTiedHead(embedding, _spec.OutputHead.Name);
        }
    }

    // A tied pair is one tensor, so one cut. Where a plan names one end only, the other follows.
    private void ResolveTiedHead(string embedding, string head)
    {
        var rule = Match(_spec.OutputHead.WeightName);
        _hasUnknownStyles |= rule is { Style: null };
        var headStyle = rule?.Style ?? TpStyleCatalog.Replicate;
        if (rule is null && _styles[embedding].WeightDim == 0)
        {
            headStyle = TpStyleCatalog.ColwiseGatherOutput;
            _notes.Add($"{head} is the embedding's table, so it is cut by vocabulary too ({headStyle.Name}).");
        }
        else if (_unnamed.Contains(embedding) && headStyle.WeightDim == 0)
        {
            _unnamed.Remove(embedding);
            _styles[embedding] = TpStyleCatalog.EmbeddingRowwise;
            _notes.Add(
                $"{embedding} is the table of {head} too, so it is cut by vocabulary " +
                $"({TpStyleCatalog.EmbeddingRowwise.Name}).");
        }

        _styles[head] = headStyle;
    }

    private void NoteUnnamed()
    {
        var patterns = _unnamed.Select(TpKey.Generalize).Distinct().ToList();
        if (patterns.Count > 0)
        {
            _notes.Add($"Held whole by every rank, because no key names them: {string.Join(", ", patterns)}.");
        }
    }

    private void ReportUnused(List<ExpectedTensor> tensors)
    {
        List<string>? candidates = null;
        foreach (var rule in _plan.Rules.Where(rule => !_used.Contains(rule)))
        {
            if (IsShadowed(rule, tensors))
            {
                continue;
            }

            candidates ??= [.. tensors
                .SelectMany(tensor => new[] { ModuleOf(tensor.Name), tensor.Name })
                .SelectMany(name => new[] { TpKey.Generalize(name), TpKey.Normalize(name) })
                .Append(_spec.OutputHead.Name)
                .Distinct()];
            var nearest = NearestName.Of(rule.Key.Normalized, candidates);
            var hint = nearest is null
                ? "write the path of a linear layer or of the embedding, with * for the layer number."
                : $"did you mean {nearest}?";
            _problems.Add($"{Quote.Of(rule.Key.Text)} names nothing in this model; {hint}");
        }
    }

    // Matches something, but a more specific rule won everywhere: no mistake.
    private static bool IsShadowed(TpRule rule, List<ExpectedTensor> tensors) => tensors.Any(tensor =>
        rule.Key.Matches(TpKey.Segments(tensor.Name)) || rule.Key.Matches(TpKey.Segments(ModuleOf(tensor.Name))));

    private static string ModuleOf(string parameter) => parameter[..parameter.LastIndexOf('.')];
}
