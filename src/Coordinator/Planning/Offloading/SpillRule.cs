using TensorParallel.Protocol.Parallel;

namespace TensorParallel.Coordinator.Planning.Offloading;

/// <summary>
/// What leaves a device that is too small, least first. The embedding (a token reads one row of it, where it lies); then blocks, as few
/// as will do; the head last, since nothing is computed after it that its way could hide behind. Blocks leave in whole groups, spread
/// evenly over the depth: while the blocks between two groups that left are computed, the next group is on its way. Example: 3 of 8
/// groups: 2, 5 and 7.
/// </summary>
/// <param name="request">Kind and size of groups.</param>
internal sealed class SpillRule(OffloadRequest request)
{
    /// <summary>The least that makes weights and slots fit; null: not even all of it does.</summary>
    /// <param name="stage">The stage.</param>
    /// <param name="bytes">Device memory for weights and slots.</param>
    public SpillChoice? Least(StageWeights stage, long bytes) =>
        request.SlotCounts.Select(slots => Least(stage, bytes, slots)).FirstOrDefault(choice => choice is not null);

    /// <summary>
    /// Everything that the kind covers, for the least device memory: the head stays where its own slots would take more than it
    /// does. Example: a head of 1.0 GB, blocks of 0.4 GB, 2 slots: 1.0 + 2 · 0.4 with it on the device, 2 · 1.0 without.
    /// </summary>
    /// <param name="stage">The stage.</param>
    /// <param name="bytes">Device memory for it: fewer slots are taken where more do not fit; null: not known.</param>
    public SpillChoice All(StageWeights stage, long? bytes)
    {
        var choices = request.SlotCounts.Select(slots => All(stage, slots)).ToList();
        return choices.Find(choice => bytes is null || choice.DeviceBytes <= bytes) ?? choices[^1];
    }

    /// <summary>The choice with the least device memory there is.</summary>
    public SpillChoice Smallest(StageWeights stage)
    {
        var all = All(stage, request.SlotCounts[^1]);
        var none = None(stage);
        return none.DeviceBytes <= all.DeviceBytes ? none : all;
    }

    /// <summary>Nothing leaves.</summary>
    public static SpillChoice None(StageWeights stage) => Choice(stage, false, [], false, 1);

    private SpillChoice All(StageWeights stage, int slots)
    {
        var chunks = Chunks(stage);
        var without = Choice(stage, MayDropEmbedding(stage), chunks, false, slots);
        if (stage.Head is null)
        {
            return without;
        }

        var with = Choice(stage, stage.Embedding is not null, chunks, true, slots);
        return with.DeviceBytes < without.DeviceBytes ? with : without;
    }

    private SpillChoice? Least(StageWeights stage, long bytes, int slots)
    {
        if (None(stage) is var none && none.DeviceBytes <= bytes)
        {
            return none;
        }

        var dropsEmbedding = MayDropEmbedding(stage);
        if (dropsEmbedding && Choice(stage, true, [], false, slots) is var embedding && embedding.DeviceBytes <= bytes)
        {
            return embedding;
        }

        // Components leave whole: the decoder with the head, or nothing would be won.
        var chunks = Chunks(stage);
        var least = request.KindOrDefault == OffloadKind.Model ? chunks.Length : 0;
        return Fewest(1, count => Choice(stage, dropsEmbedding, Spread(chunks, count), false, slots))
            ?? (stage.Head is null
                ? null
                : Fewest(least, count => Choice(stage, stage.Embedding is not null, Spread(chunks, count), true, slots)));

        // The more groups leave, the less memory is needed; that of few is more than that of none by their slots, but then none fits.
        SpillChoice? Fewest(int fewest, Func<int, SpillChoice> choose)
        {
            var (tooFew, enough) = (fewest - 1, chunks.Length);
            if (enough < fewest || choose(enough) is not { } found || found.DeviceBytes > bytes)
            {
                return null;
            }

            while (enough - tooFew > 1)
            {
                var middle = (tooFew + enough) / 2;
                if (choose(middle) is var choice && choice.DeviceBytes <= bytes)
                {
                    (enough, found) = (middle, choice);
                }
                else
                {
                    tooFew = middle;
                }
            }

            return found;
        }
    }

    private static SpillChoice Choice(StageWeights stage, bool embedding, Range[] chunks, bool head, int slots)
    {
        var (moved, largest) = (0L, 0L);
        foreach (var chunk in chunks)
        {
            var slot = 0L;
            for (var block = chunk.Start.Value; block < chunk.End.Value; block++)
            {
                moved += stage.Blocks[block].Bytes;
                slot += stage.Blocks[block].SlotBytes;
            }

            largest = Math.Max(largest, slot);
        }

        var table = embedding ? stage.Embedding!.Value.Bytes : 0;
        var off = table + moved;
        if (head)
        {
            off += stage.Head!.Value.Bytes;
            moved += stage.SharesTable ? table : stage.Head.Value.Bytes;
            largest = Math.Max(largest, stage.Head.Value.SlotBytes);
        }

        var groups = chunks.Length + (head ? 1 : 0);
        return new SpillChoice(
            embedding, chunks, head, Math.Max(1, Math.Min(slots, groups)), largest, stage.TotalBytes - off, off, moved);
    }

    private static bool MayDropEmbedding(StageWeights stage) => stage.Embedding is not null && !stage.SharesTable;

    private Range[] Chunks(StageWeights stage)
    {
        var count = stage.Blocks.Count;
        var size = request.KindOrDefault == OffloadKind.Model ? Math.Max(1, count) : request.GroupBlocks;
        var chunks = new Range[((count + size) - 1) / size];
        for (var i = 0; i < chunks.Length; i++)
        {
            chunks[i] = (i * size)..Math.Min(count, (i + 1) * size);
        }

        return chunks;
    }

    /// <summary>So many of a list, at most all, spread evenly, the last one among them: 3 of 8 are numbers 2, 5 and 7.</summary>
    public static T[] Spread<T>(IReadOnlyList<T> items, int count)
    {
        var chosen = new T[count];
        for (var i = 0; i < count; i++)
        {
            chosen[i] = items[(int)(((((i + 1L) * items.Count) + count - 1) / count) - 1)];
        }

        return chosen;
    }
}
