namespace TensorParallel.Coordinator.Text.Models;

/// <summary>
/// Byte-pair merging of one word: always the best-ranked pair of neighbours, the leftmost where ranks are equal.
/// </summary>
internal static class WordMerger
{
    // Rescanning is quadratic, but faster than a heap while a word fits in a few cache lines.
    private const int RescanLimit = 24;

    /// <summary>Merges in place; returns how many are left at the front of <paramref name="symbols"/>.</summary>
    public static int Merge(Span<int> symbols, MergeTable merges) =>
        symbols.Length <= RescanLimit ? MergeByRescan(symbols, merges) : MergeByHeap(symbols, merges);

    private static int MergeByRescan(Span<int> symbols, MergeTable merges)
    {
        // ranks[i] and merged[i] are of the pair (i, i + 1).
        Span<int> ranks = stackalloc int[RescanLimit];
        Span<int> merged = stackalloc int[RescanLimit];
        var count = symbols.Length;
        for (var i = 0; i + 1 < count; i++)
        {
            merges.TryFind(symbols[i], symbols[i + 1], out ranks[i], out merged[i]);
        }

        while (count > 1)
        {
            var best = 0;
            for (var i = 1; i + 1 < count; i++)
            {
                best = ranks[i] < ranks[best] ? i : best;
            }

            if (ranks[best] == MergeTable.NoRank)
            {
                break;
            }

            symbols[best] = merged[best];
            symbols[(best + 2)..count].CopyTo(symbols[(best + 1)..]);
            ranks[(best + 1)..count].CopyTo(ranks[best..]);
            merged[(best + 1)..count].CopyTo(merged[best..]);
            count--;
            if (best + 1 < count)
            {
                merges.TryFind(symbols[best], symbols[best + 1], out ranks[best], out merged[best]);
            }

            if (best > 0)
            {
                merges.TryFind(symbols[best - 1], symbols[best], out ranks[best - 1], out merged[best - 1]);
            }
        }

        return count;
    }

    private static int MergeByHeap(Span<int> symbols, MergeTable merges)
    {
        var links = new Links(symbols.Length);
        var queue = new PriorityQueue<(int Left, int Right, int Merged), ulong>(symbols.Length);
        for (var i = 0; i + 1 < symbols.Length; i++)
        {
            Offer(queue, merges, i, symbols[i], symbols[i + 1]);
        }

        while (queue.TryDequeue(out var pair, out var priority))
        {
            var at = (int)(uint)priority;
            var right = links.Next[at];
            // A merge nearby may have changed or removed either symbol since this pair was offered.
            if (right == symbols.Length || symbols[at] != pair.Left || symbols[right] != pair.Right)
            {
                continue;
            }

            symbols[at] = pair.Merged;
            symbols[right] = Links.Removed;
            links.Remove(right);
            if (links.Next[at] is var next && next < symbols.Length)
            {
                Offer(queue, merges, at, symbols[at], symbols[next]);
            }

            if (links.Previous[at] is >= 0 and var previous)
            {
                Offer(queue, merges, previous, symbols[previous], symbols[at]);
            }
        }

        var count = 0;
        for (var at = 0; at < symbols.Length; at = links.Next[at])
        {
            symbols[count++] = symbols[at];
        }

        return count;
    }

    // Priority is rank, then position: (rank 7, position 3) is 0x7_0000_0003.
    private static void Offer(
        PriorityQueue<(int Left, int Right, int Merged), ulong> queue, MergeTable merges, int at, int left, int right)
    {
        if (merges.TryFind(left, right, out var rank, out var merged))
        {
            queue.Enqueue((left, right, merged), ((ulong)(uint)rank << 32) | (uint)at);
        }
    }

    /// <summary>A doubly linked list over positions 0..length - 1; -1 and length are its ends.</summary>
    private sealed class Links
    {
        public const int Removed = -1;

        public Links(int length)
        {
            Previous = new int[length];
            Next = new int[length];
            for (var i = 0; i < length; i++)
            {
                (Previous[i], Next[i]) = (i - 1, i + 1);
            }
        }

        public int[] Previous { get; }

        public int[] Next { get; }

        public void Remove(int at)
        {
            var (before, behind) = (Previous[at], Next[at]);
            Next[before] = behind;
            if (behind < Previous.Length)
            {
                Previous[behind] = before;
            }
        }
    }
}
