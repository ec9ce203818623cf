namespace TensorParallel.Protocol.Parallel;

/// <summary>Words for <see cref="OffloadKind"/>.</summary>
public static class OffloadKindNames
{
    /// <summary>All words.</summary>
    public static IReadOnlyList<string> All { get; } = [.. Enum.GetValues<OffloadKind>().Select(NameOf)];

    /// <summary>The word.</summary>
    public static string NameOf(OffloadKind kind) => kind switch
    {
        OffloadKind.Model => "model",
        OffloadKind.Sequential => "sequential",
        OffloadKind.Group => "group",
        _ => throw new ArgumentOutOfRangeException(nameof(kind), kind, "There is no such offload kind."),
    };

    /// <summary>The kind a word names; null: none.</summary>
    public static OffloadKind? Find(string name) =>
        Enum.GetValues<OffloadKind>().Where(kind => NameOf(kind) == name).Select(kind => (OffloadKind?)kind).FirstOrDefault();
}
