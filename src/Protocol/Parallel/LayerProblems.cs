namespace TensorParallel.Protocol.Parallel;

/// <summary>Collects sentences about modules, and says once what is true of many layers.</summary>
internal sealed class LayerProblems(int layers)
{
    private readonly List<(string Module, string Sentence)> _order = [];
    private readonly Dictionary<(string Module, string Sentence), List<int>> _layers = [];

    /// <summary>About a module outside the layers.</summary>
    public void Add(string module, string sentence) => _order.Add((module, sentence));

    /// <summary>
    /// About a module of one layer, named relative to it: <c>self_attn.o_proj</c>. Layers come in rising order.
    /// </summary>
    public void Add(int layer, string module, string sentence)
    {
        if (!_layers.TryGetValue((module, sentence), out var known))
        {
            _layers[(module, sentence)] = known = [];
            _order.Add((module, sentence));
        }

        known.Add(layer);
    }

    /// <summary>
    /// In the order of their first occurrence, for example "layers.{0, 2–5}.mlp.down_proj: …".
    /// </summary>
    public IReadOnlyList<string> Sentences() => [.. _order.Select(problem =>
        _layers.TryGetValue(problem, out var where)
            ? $"layers.{LayerList.Text(where, layers)}.{problem.Module}: {problem.Sentence}"
            : $"{problem.Module}: {problem.Sentence}")];
}
