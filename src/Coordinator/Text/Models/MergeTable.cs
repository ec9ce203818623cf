namespace TensorParallel.Coordinator.Text.Models;

/// <summary>
/// Which pairs of tokens merge, in which order of preference (rank 0 first), into what. Immutable, thread-safe.
/// </summary>
internal sealed class MergeTable(int capacity)
{
    /// <summary>Ranks worse than any merge.</summary>
    public const int NoRank = int.MaxValue;

    private readonly Dictionary<ulong, (int Rank, int Merged)> _merges = new(capacity);

    /// <summary>A pair that is listed twice keeps its last rank.</summary>
    public void Add(int left, int right, int rank, int merged) => _merges[Key(left, right)] = (rank, merged);

    public bool TryFind(int left, int right, out int rank, out int merged)
    {
        if (_merges.TryGetValue(Key(left, right), out var found))
        {
            (rank, merged) = found;
            return true;
        }

        (rank, merged) = (NoRank, -1);
        return false;
    }

    private static ulong Key(int left, int right) => ((ulong)(uint)left << 32) | (uint)right;
}
