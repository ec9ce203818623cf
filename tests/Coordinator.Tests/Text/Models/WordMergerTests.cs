using TensorParallel.Coordinator.Text.Models;
using Xunit;

namespace TensorParallel.Coordinator.Tests.Text.Models;

public sealed class WordMergerTests
{
    private const int Symbols = 4;

    /// <summary>Both ways of merging (short and long words) against merging by the definition.</summary>
    [Fact]
    public void EqualsTheDefinition()
    {
        var seed = Environment.TickCount;
        var random = new Random(seed);
        for (var round = 0; round < 1500; round++)
        {
            var merges = RandomMerges(random);
            var word = Enumerable.Range(0, random.Next(0, 60)).Select(_ => random.Next(Symbols)).ToArray();
            var expected = MergeByDefinition(word, merges);
            var actual = (int[])word.Clone();
            var count = WordMerger.Merge(actual, Table(merges));
            Assert.True(
                expected.SequenceEqual(actual[..count]),
                $"seed {seed}, word {string.Join(' ', word)}: {string.Join(' ', actual[..count])}, " +
                $"not {string.Join(' ', expected)}");
        }
    }

    [Fact]
    public void AVeryLongWordTakesNoQuadraticTime()
    {
        // 400,000 symbols: by rescanning this would be some 10^11 steps.
        var merges = new List<(int, int, int)> { (0, 0, 1), (1, 1, 2), (2, 2, 3) };
        var word = new int[400_001];
        var count = WordMerger.Merge(word, Table(merges));
        Assert.Equal(50_001, count);
        Assert.All(word[..50_000], symbol => Assert.Equal(3, symbol));
        Assert.Equal(0, word[50_000]);
    }

    private static List<(int Left, int Right, int Merged)> RandomMerges(Random random)
    {
        var merges = new List<(int Left, int Right, int Merged)>();
        for (var merged = Symbols; merged < Symbols + 12; merged++)
        {
            var pair = (random.Next(merged), random.Next(merged));
            if (merges.All(m => (m.Left, m.Right) != pair))
            {
                merges.Add((pair.Item1, pair.Item2, merged));
            }
        }

        return [.. merges.OrderBy(_ => random.Next())];
    }

    private static MergeTable Table(List<(int Left, int Right, int Merged)> merges)
    {
        var table = new MergeTable(merges.Count);
        for (var rank = 0; rank < merges.Count; rank++)
        {
            table.Add(merges[rank].Left, merges[rank].Right, rank, merges[rank].Merged);
        }

        return table;
    }

    private static List<int> MergeByDefinition(int[] word, List<(int Left, int Right, int Merged)> merges)
    {
        var symbols = word.ToList();
        while (true)
        {
            var best = Enumerable.Range(0, Math.Max(0, symbols.Count - 1))
                .Select(at => (merges.FindIndex(m => (m.Left, m.Right) == (symbols[at], symbols[at + 1])), at))
                .Where(candidate => candidate.Item1 >= 0)
                .DefaultIfEmpty((-1, -1))
                .Min();
            if (best.Item1 < 0)
            {
                return symbols;
            }

            symbols[best.Item2] = merges[best.Item1].Merged;
            symbols.RemoveAt(best.Item2 + 1);
        }
    }
}
