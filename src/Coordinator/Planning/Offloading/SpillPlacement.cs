using TensorParallel.Protocol.Parallel;

namespace TensorParallel.Coordinator.Planning.Offloading;

/// <summary>
/// Where what left the devices lies: in host memory up to its budget, the rest in files. Stages share the budget by what they have off
/// their devices, so that none is left with files alone. What moves in every step comes first into host memory, the embedding last: of
/// it a token reads one row. Groups that stay in files are spread evenly between the others.
/// </summary>
internal static class SpillPlacement
{
    /// <summary>The modules of each stage, in the order of use.</summary>
    /// <exception cref="PlanException">The places are too small.</exception>
    public static IReadOnlyList<IReadOnlyList<OffloadedModule>> Of(IReadOnlyList<StageSpill> stages, SpillPlaces places)
    {
        var total = stages.Sum(stage => stage.Bytes);
        var modules = stages.Select(stage => Modules(stage, ShareOf(stage.Bytes))).ToList();
        var disk = modules.SelectMany(stage => stage).Where(module => module.Residency == Residency.Disk).Sum(module => module.Bytes);
        return disk <= places.DiskBytes ? modules : throw new PlanException(NoRoom(total, disk, places));

        // Where all fits, the share of a stage is at least what it has.
        long ShareOf(long bytes) => total <= places.HostBytes ? bytes : (long)((Int128)places.HostBytes * bytes / total);
    }

    private static List<OffloadedModule> Modules(StageSpill spill, long hostBytes)
    {
        var (stage, choice) = spill;
        var left = hostBytes;

        // A tied table is the head's: it moves.
        var head = choice.Head ? Take(stage.SharesTable ? stage.Embedding!.Value.Bytes : stage.Head!.Value.Bytes) : Residency.Host;
        var chunks = HostChunks(spill, left);
        left -= chunks.Sum(chunk => BytesOf(stage, chunk));
        var embedding = stage.SharesTable || !choice.Embedding ? head : Take(stage.Embedding!.Value.Bytes);

        var modules = new List<OffloadedModule>();
        if (choice.Embedding)
        {
            modules.Add(new OffloadedModule(stage.Embedding!.Value.Name, embedding, stage.Embedding.Value.Bytes));
        }

        foreach (var chunk in choice.Chunks)
        {
            var place = chunks.Contains(chunk) ? Residency.Host : Residency.Disk;
            modules.AddRange(stage.Blocks.Take(chunk).Select(block => new OffloadedModule(block.Name, place, block.Bytes)));
        }

        if (choice.Head)
        {
            modules.Add(new OffloadedModule(stage.Head!.Value.Name, head, stage.Head.Value.Bytes));
        }

        return modules;

        Residency Take(long bytes)
        {
            if (bytes > left)
            {
                return Residency.Disk;
            }

            left -= bytes;
            return Residency.Host;
        }
    }

    private static Range[] HostChunks(StageSpill spill, long bytes)
    {
        var chunks = spill.Choice.Chunks;
        for (var count = chunks.Count; count > 0; count--)
        {
            var chosen = SpillRule.Spread(chunks, count);
            if (chosen.Sum(chunk => BytesOf(spill.Stage, chunk)) <= bytes)
            {
                return chosen;
            }
        }

        return [];
    }

    private static long BytesOf(StageWeights stage, Range chunk) => stage.Blocks.Take(chunk).Sum(block => block.Bytes);

    private static string NoRoom(long total, long disk, SpillPlaces places) => places.DiskBytes == 0
        ? $"{ByteText.Of(total)} of weights do not fit on the devices, and not beside them either ({places}): " +
            $"{ByteText.Of(disk)} are left over; give more in --max-memory, for example cpu={ByteText.Of(total)} or disk=…, or larger " +
            "budgets of devices."
        : $"{ByteText.Of(total)} of weights do not fit on the devices, and not beside them either ({places}): {ByteText.Of(disk)} would " +
            "lie on disk; give more in --max-memory.";
}
