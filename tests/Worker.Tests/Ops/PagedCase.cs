using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Worker.Devices;
using TensorParallel.Worker.Ops;

namespace TensorParallel.Worker.Tests.Ops;

/// <summary>A step over a paged cache: shapes and dtype, chosen by a test.</summary>
/// <param name="Heads">Heads of the rank.</param>
/// <param name="CacheDType">Dtype of keys and values.</param>
/// <param name="BlockTokens">Tokens of a cache block.</param>
/// <param name="Sequences">
/// For each sequence: tokens already in the cache, and rows of this step; (−1, 1): a row that only fills up the step.
/// </param>
internal sealed record PagedCase(
    HeadLayout Heads, DType CacheDType, int BlockTokens, params (int Past, int Rows)[] Sequences)
{
    /// <summary>Rows of the step.</summary>
    public int Tokens => Sequences.Sum(s => s.Rows);

    /// <summary>Blocks of one sequence.</summary>
    public int BlocksOf(int sequence) =>
        (Sequences[sequence].Past + Sequences[sequence].Rows + BlockTokens - 1) / BlockTokens;

    /// <summary>Longest context after the step.</summary>
    public int MaxContext => Sequences.Max(s => s.Past + s.Rows);

    /// <summary>(sequence, position) of each row.</summary>
    public IEnumerable<(int Sequence, int Position)> Rows() =>
        Sequences.SelectMany((s, i) => Enumerable.Range(s.Past, s.Rows).Select(p => (i, p)));

    /// <summary>First row of each sequence, then the number of rows.</summary>
    public int[] Starts() =>
        [.. Enumerable.Range(0, Sequences.Length + 1).Select(s => Sequences.Take(s).Sum(q => q.Rows))];

    /// <summary>The step's record over tensors that the caller has put on the device.</summary>
    public StepRows Step(Tensor positions, Tensor rowSequences, Tensor queryStarts, Tensor blockTables) => new(
        Tokens, Sequences.Length, positions, rowSequences, queryStarts, blockTables, MaxContext,
        Sequences.Max(s => s.Rows));
}
