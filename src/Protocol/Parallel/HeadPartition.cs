namespace TensorParallel.Protocol.Parallel;

/// <summary>
/// Attention cut in whole query heads; each rank keeps the key/value heads that its query heads read, so that one may
/// stand on several ranks. Examples: 8 query heads over 2 KV heads, 4 ranks: KV heads 0, 0, 1, 1. 12 over 3, 2 ranks:
/// {0, 1} and {1, 2}. Immutable.
/// </summary>
public sealed class HeadPartition
{
    private readonly UnitPartition _queryHeads;
    private readonly int _groupSize;
    private readonly int _headDim;

    /// <exception cref="ArgumentOutOfRangeException">
    /// More ranks than query heads, or KV heads that do not divide them.
    /// </exception>
    public HeadPartition(int queryHeads, int keyValueHeads, int headDim, int ranks)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(headDim, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(keyValueHeads, 1);
        ArgumentOutOfRangeException.ThrowIfNotEqual(queryHeads % keyValueHeads, 0, nameof(keyValueHeads));
        _queryHeads = new UnitPartition(queryHeads, 1, ranks);
        _groupSize = queryHeads / keyValueHeads;
        _headDim = headDim;
    }

    /// <summary>Whether some ranks compute a query head more than others.</summary>
    public bool IsUneven => _queryHeads.IsUneven;

    /// <summary>Query heads of a rank.</summary>
    public IndexRange QueryHeads(int rank) => _queryHeads[rank];

    /// <summary>Key/value heads that those read.</summary>
    public IndexRange KeyValueHeads(int rank)
    {
        var heads = _queryHeads[rank];
        return new IndexRange(heads.Start / _groupSize, ((heads.End - 1) / _groupSize) + 1);
    }

    /// <summary>Rows of q_proj, and columns of o_proj, that belong to a rank.</summary>
    public IndexRange QueryColumns(int rank) => Columns(QueryHeads(rank));

    /// <summary>Rows of k_proj and of v_proj that belong to a rank.</summary>
    public IndexRange KeyValueColumns(int rank) => Columns(KeyValueHeads(rank));

    private IndexRange Columns(IndexRange heads) => new(heads.Start * _headDim, heads.End * _headDim);
}
