using System.Collections.Frozen;

namespace TensorParallel.Protocol.Parallel;

/// <summary>The styles that plans may name.</summary>
public static class TpStyleCatalog
{
    /// <summary>Held whole: the style of everything that no key names.</summary>
    public static TpStyle Replicate { get; } = new ReplicateStyle();

    /// <summary>Cut by vocabulary.</summary>
    public static TpStyle EmbeddingRowwise { get; } = new EmbeddingRowwiseStyle();

    /// <summary>The style of most output heads.</summary>
    public static TpStyle ColwiseGatherOutput { get; } = new ColwiseGatherOutputStyle();

    /// <summary>One entry a style.</summary>
    public static IReadOnlyList<TpStyle> All { get; } =
    [
        new ColwiseStyle(),
        new RowwiseStyle(),
        ColwiseGatherOutput,
        new RowwiseSplitInputStyle(),
        EmbeddingRowwise,
        new PackedColwiseStyle(),
        Replicate,
    ];

    private static readonly FrozenDictionary<string, TpStyle> s_byName = All
        .SelectMany(style => style.Aliases.Prepend(style.Name).Select(name => KeyValuePair.Create(name, style)))
        .ToFrozenDictionary();

    /// <summary>Every name and alias, ordinal order.</summary>
    public static IReadOnlyList<string> Names { get; } = [.. s_byName.Keys.Order(StringComparer.Ordinal)];

    /// <summary>The style of that name or alias; null when there is none.</summary>
    public static TpStyle? Find(string name) => s_byName.GetValueOrDefault(name);
}
