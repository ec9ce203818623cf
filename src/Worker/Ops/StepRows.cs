using TensorParallel.Worker.Devices;

namespace TensorParallel.Worker.Ops;

/// <summary>
/// Where the rows of a step belong. The tensors live on the device (a captured step reads them there); the integers are host
/// copies that choose launch shapes.
/// </summary>
/// <param name="Tokens">Rows of the step, T.</param>
/// <param name="Sequences">Sequences of the step, S.</param>
/// <param name="Positions">
/// I32 [1, T]: position of each row in its sequence. −1: a sequence of this one row, which only fills up the step.
/// </param>
/// <param name="RowSequences">I32 [1, T]: index (0 … S − 1) of the sequence each row belongs to.</param>
/// <param name="QueryStarts">I32 [1, S + 1]: first row of each sequence; the last entry is T.</param>
/// <param name="BlockTables">I32 [S, MaxBlocks]: KV block ids of each sequence, position p in entry p / KvBlockTokens.</param>
/// <param name="MaxContext">Longest context after this step, in tokens, or more: a recorded step serves any context up to it.</param>
/// <param name="MaxQueryRows">Most rows of one sequence; 1: a pure decode step.</param>
internal sealed record StepRows(
    int Tokens,
    int Sequences,
    Tensor Positions,
    Tensor RowSequences,
    Tensor QueryStarts,
    Tensor BlockTables,
    int MaxContext,
    int MaxQueryRows);
