namespace TensorParallel.Worker.Loading;

/// <summary>Chunks that share a slot, so that many small tensors cost one wait and not many.</summary>
/// <param name="First">Index of the first among all chunks.</param>
/// <param name="Count">Number of chunks.</param>
internal readonly record struct ReadBatch(int First, int Count)
{
    // Copies begin at addresses that suit the bus.
    private const long Alignment = 256;

    /// <summary>Where in a slot the chunk after <paramref name="end"/> bytes begins.</summary>
    public static long Align(long end) => (end + Alignment - 1) / Alignment * Alignment;

    /// <summary>Consecutive chunks as long as they fit into a slot; each chunk alone does.</summary>
    public static IReadOnlyList<ReadBatch> Of(IReadOnlyList<ReadChunk> chunks, int slotBytes)
    {
        var batches = new List<ReadBatch>();
        var first = 0;
        var end = 0L;
        for (var i = 0; i < chunks.Count; i++)
        {
            var start = Align(end);
            if (i > first && start + chunks[i].SlotBytes > slotBytes)
            {
                batches.Add(new ReadBatch(first, i - first));
                first = i;
                start = 0;
            }

            end = start + chunks[i].SlotBytes;
        }

        if (chunks.Count > first)
        {
            batches.Add(new ReadBatch(first, chunks.Count - first));
        }

        return batches;
    }
}
