using TensorParallel.Protocol.Architectures;

namespace TensorParallel.Protocol.Parallel;

/// <summary>A plan laid over a model: a style for every module, and whether that can work. Immutable.</summary>
/// <param name="Source">Where the plan comes from, see <see cref="TpPlan.Source"/>.</param>
/// <param name="Styles">Style by module path, for every module that has parameters.</param>
/// <param name="Notes">Remarks for people: what no key names, what was added for a tied head.</param>
/// <param name="Problems">Mistakes in the plan's text: it is refused whatever else is allowed.</param>
/// <param name="Obstacles">
/// Why the plan, though well written, cannot be run on any number of ranks: reasons to fall back.
/// </param>
public sealed record ResolvedTpPlan(
    string Source,
    IReadOnlyDictionary<string, TpStyle> Styles,
    IReadOnlyList<string> Notes,
    IReadOnlyList<string> Problems,
    IReadOnlyList<string> Obstacles)
{
    /// <summary>Style of a linear layer.</summary>
    public TpStyle this[LinearSpec linear] => Styles[linear.Name];

    /// <summary>Style of the embedding.</summary>
    public TpStyle this[EmbeddingSpec embedding] => Styles[embedding.Name];

    /// <summary>Whether attention runs on this rank's heads alone (its projections are cut by heads).</summary>
    public bool CutsAttention(BlockSpec block) =>
        this[block.Attention.Query].OutputLayout == ActivationLayout.Sharded;

    /// <summary>Whether the MLP runs on this rank's columns alone.</summary>
    public bool CutsMlp(BlockSpec block) => this[block.Mlp.Gate].OutputLayout == ActivationLayout.Sharded;
}
