using TensorParallel.Protocol.Architectures;

namespace TensorParallel.Protocol.Parallel;

/// <summary>
/// A tensor-parallel plan as it was written: rules from paths to styles. Of the rules that match a parameter the most
/// specific one counts: one for the parameter before one for its module, an indexed one before one with <c>*</c>. A
/// plan replaces the architecture's own as a whole. Immutable.
/// </summary>
public sealed class TpPlan
{
    /// <summary>The word for the architecture's own plan.</summary>
    public const string Auto = "auto";

    internal TpPlan(string source, IReadOnlyList<TpRule> rules, IReadOnlyList<string> problems)
    {
        Source = source;
        Rules = rules;
        Problems = problems;
    }

    /// <summary>Where it comes from: <c>auto</c>, <c>inline</c> or a file's path.</summary>
    public string Source { get; }

    /// <summary>What is wrong with the text itself, one sentence each.</summary>
    public IReadOnlyList<string> Problems { get; }

    internal IReadOnlyList<TpRule> Rules { get; }

    /// <summary>The plan of a model's own family; null when it has none.</summary>
    public static TpPlan? OfArchitecture(ModelSpec spec) => spec.BaseTpPlan is { } entries
        ? TpPlanReader.FromEntries(Auto, entries)
        : null;

    /// <summary>Reads a plan that a user gave: an inline JSON object, or the path of a JSON file.</summary>
    /// <exception cref="PlanException">
    /// No such file, or not JSON. What is wrong with single entries goes to <see cref="Problems"/>, to be reported with
    /// the rest.
    /// </exception>
    public static TpPlan Read(string text) => TpPlanReader.Read(text);

    /// <summary>
    /// The key most plans would use for a path: <c>model.layers.3.mlp.up_proj</c> is <c>layers.*.mlp.up_proj</c>.
    /// </summary>
    public static string PatternOf(string path) => TpKey.Generalize(path);

    /// <summary>Lays the plan over a model. Throws nothing: what is wrong is in the result.</summary>
    public ResolvedTpPlan ResolveFor(ModelSpec spec) => TpPlanResolver.Resolve(spec, this);

    /// <summary>
    /// The rule for a parameter such as <c>model.layers.3.self_attn.q_proj.weight</c>; null: no key names it.
    /// </summary>
    internal TpRule? Match(string parameter)
    {
        var path = TpKey.Segments(parameter);
        return Best(path) ?? Best(path.AsSpan(0, path.Length - 1));
    }

    private TpRule? Best(ReadOnlySpan<string> path)
    {
        TpRule? best = null;
        foreach (var rule in Rules)
        {
            if ((best is null || rule.Key.Wildcards < best.Key.Wildcards) && rule.Key.Matches(path))
            {
                best = rule;
            }
        }

        return best;
    }
}
