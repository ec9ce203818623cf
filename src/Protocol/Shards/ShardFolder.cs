using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Protocol.Parallel;

namespace TensorParallel.Protocol.Shards;

/// <summary>
/// Where shard sets lie: <c>KEY/shards.json</c> beside one safetensors file a rank, in the model's own folder
/// (<see cref="DefaultRootName"/>) or in that of the model (<see cref="OfModel"/>) below a folder that the user names.
/// </summary>
public static class ShardFolder
{
    /// <summary>Folder inside the model's that holds its sets, unless the user names another.</summary>
    public const string DefaultRootName = ".tensor-parallel";

    /// <summary>The manifest, see <see cref="ShardManifest"/>.</summary>
    public const string ManifestName = "shards.json";

    private const int KeyBytes = 16;

    /// <summary>
    /// Names a cut: the same for all plans that give the ranks the same parts in the same dtype, whatever devices, contexts and caches
    /// they are made for. 32 hexadecimal digits.
    /// </summary>
    public static string Key(ExecutionPlan plan)
    {
        var text = new StringBuilder();
        text.AppendLine(CultureInfo.InvariantCulture, $"{ShardManifest.Version} {plan.WorldSize} {plan.DType.SafetensorsName()}");
        foreach (var rank in plan.Ranks)
        {
            text.AppendLine(CultureInfo.InvariantCulture, $"rank {rank.Rank}");
            foreach (var slice in rank.Tensors)
            {
                text.Append(CultureInfo.InvariantCulture, $"{slice.Name} {slice.Dim}");
                foreach (var range in slice.Ranges)
                {
                    text.Append(CultureInfo.InvariantCulture, $" {range.Start}-{range.End}");
                }

                text.AppendLine();
            }
        }

        return Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text.ToString())).AsSpan(0, KeyBytes));
    }

    /// <summary>
    /// Folder of one model's sets in a root that models share: its name and eight digits of its path, since models of one architecture
    /// have the same keys.
    /// </summary>
    public static string OfModel(string modelFolder)
    {
        var path = Path.TrimEndingDirectorySeparator(Path.GetFullPath(modelFolder));
        return $"{Path.GetFileName(path)}-{Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(path)).AsSpan(0, 4))}";
    }

    /// <summary>Name of a rank's file.</summary>
    public static string FileName(int rank, int worldSize) =>
        string.Create(CultureInfo.InvariantCulture, $"rank-{rank:D5}-of-{worldSize:D5}.safetensors");

    /// <summary>Folder in which a set is made before it takes its name; whatever lies there when nobody makes it is left over.</summary>
    public static string Partial(string folder) => $"{folder}.partial";
}
