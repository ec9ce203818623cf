using System.Globalization;
using TensorParallel.Coordinator.Planning;
using TensorParallel.Protocol.Parallel;
using TensorParallel.Protocol.Shards;

namespace TensorParallel.Coordinator.Sharding;

/// <summary>The room that a shard set takes on a disk.</summary>
internal static class ShardSpace
{
    // Of a header: its page, and an entry a tensor. Of the manifest: a line a piece, and some lines a tensor.
    private const long PageBytes = 4096;
    private const long EntryBytes = 256;
    private const long TensorLinesBytes = 512;
    private const long HashLineBytes = 64;

    /// <summary>Bytes of all files of a set, a little more than it will have. Example: 16.06 GB of weights: 16.07 GB.</summary>
    public static long Needed(ExecutionPlan plan) => plan.Ranks.Sum(rank =>
    {
        var weights = rank.Tensors.Sum(tensor => tensor.Bytes); // those off the device as well
        return weights
            + PageBytes
            + (rank.Tensors.Count * (EntryBytes + TensorLinesBytes))
            + (((weights / ContentHash.PieceBytes) + rank.Tensors.Count) * HashLineBytes);
    });

    /// <summary>Throws <see cref="ShardRunException"/> when a folder's disk has not the room.</summary>
    public static void Check(string folder, ExecutionPlan plan)
    {
        var needed = Needed(plan);
        var free = new DriveInfo(folder).AvailableFreeSpace;
        if (free < needed)
        {
            throw new ShardRunException(string.Create(
                CultureInfo.InvariantCulture,
                $"{folder}: the shards need {needed:N0} bytes ({ByteText.Of(needed)}), but {free:N0} ({ByteText.Of(free)}) are free there: ")
                + "make room or give another place with --output; nothing was written.");
        }
    }
}
