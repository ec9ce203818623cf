using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Protocol.Parallel;

namespace TensorParallel.Protocol.Shards;

/// <summary>
/// What a set of pre-cut files is: made from which files, cut how, and the hashes by which every byte of it is checked. Immutable.
/// </summary>
/// <param name="Folder">Full path of the set.</param>
/// <param name="PieceBytes">Most bytes of a piece that has a hash of its own.</param>
/// <param name="Sources">The checkpoint's files.</param>
/// <param name="Ranks">One file a rank, in rank order.</param>
public sealed record ShardManifest(
    string Folder, int PieceBytes, IReadOnlyList<SourceFile> Sources, IReadOnlyList<RankShard> Ranks)
{
    /// <summary>Of the format; another one is not read.</summary>
    public const int Version = 1;

    /// <summary>Bytes of all files.</summary>
    public long Bytes => Ranks.Sum(rank => rank.Bytes);

    /// <summary>Whether the files hold exactly what a plan gives the ranks.</summary>
    public bool IsCutBy(ExecutionPlan plan) =>
        Ranks.Count == plan.Ranks.Count
        && Ranks.Zip(plan.Ranks).All(pair =>
            pair.First.Tensors.Count == pair.Second.Tensors.Count
            && pair.First.Tensors.Zip(pair.Second.Tensors).All(both => both.First.IsPartOf(both.Second, plan.DType)));

    /// <summary>Reads the manifest of a set.</summary>
    /// <exception cref="CheckpointException">It is not there, or not as this version writes it.</exception>
    public static ShardManifest Read(string folder)
    {
        var path = Path.Combine(Path.GetFullPath(folder), ShardFolder.ManifestName);
        return ShardManifestJson.Read(JsonFile.ReadObject(path), path);
    }

    /// <summary>The manifest as JSON.</summary>
    public byte[] ToJson() => ShardManifestJson.Write(this);
}
