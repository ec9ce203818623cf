using System.Collections.Concurrent;

namespace TensorParallel.Coordinator.Text.Models;

/// <summary>
/// The ids of words met before. Bounded: when the young generation is full it becomes the old one, and the old one
/// goes; a word found in the old one moves up. Thread-safe.
/// </summary>
internal sealed class WordCache
{
    /// <summary>Longer words are rarely met twice.</summary>
    public const int MaxWordLength = 64;

    // Two generations of 32,768 words of at most 64 units: 13 MB at the very worst, commonly 5.
    private const int GenerationWords = 32_768;

    private volatile Generation _young = new();
    private volatile Generation _old = new();

    public int[]? Find(ReadOnlySpan<char> word)
    {
        var young = _young;
        if (young.Lookup.TryGetValue(word, out var ids))
        {
            return ids;
        }

        if (_old.Lookup.TryGetValue(word, out ids))
        {
            Add(word, ids);
            return ids;
        }

        return null;
    }

    public void Add(ReadOnlySpan<char> word, int[] ids)
    {
        var young = _young;
        if (!young.Lookup.TryAdd(word, ids) || Interlocked.Increment(ref young.Count) != GenerationWords)
        {
            return;
        }

        // Exactly one caller gets the number that fills a generation, so they are replaced once each.
        _old = young;
        _young = new Generation();
    }

    private sealed class Generation
    {
        public int Count;

        public Generation() => Lookup = new ConcurrentDictionary<string, int[]>(StringComparer.Ordinal)
            .GetAlternateLookup<ReadOnlySpan<char>>();

        public ConcurrentDictionary<string, int[]>.AlternateLookup<ReadOnlySpan<char>> Lookup { get; }
    }
}
