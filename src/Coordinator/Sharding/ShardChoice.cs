namespace TensorParallel.Coordinator.Sharding;

/// <summary>Where a run reads its weights.</summary>
/// <param name="Folder">The shard set; null: the checkpoint's own files.</param>
/// <param name="Notices">What the user should know of the choice; sentences.</param>
internal sealed record ShardChoice(string? Folder, IReadOnlyList<string> Notices)
{
    /// <summary><c>--shards auto</c>: a set that fits is used, and its absence is nothing to speak of.</summary>
    public const string Auto = "auto";

    /// <summary><c>--shards off</c>.</summary>
    public const string Off = "off";

    /// <summary>The checkpoint's own files, about which there is nothing to say.</summary>
    public static ShardChoice Checkpoint { get; } = new(null, []);
}
