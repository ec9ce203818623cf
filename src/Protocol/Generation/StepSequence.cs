namespace TensorParallel.Protocol.Generation;

/// <summary>One sequence's share of a step.</summary>
/// <param name="Slot">Worker-side slot, 0 … MaxSequences − 1; the coordinator assigns and reuses slots.</param>
/// <param name="Start">
/// Set on the first step of a sequence in this slot: whatever the slot held before is forgotten.
/// </param>
/// <param name="Position">Position (0-based) of the first token of this step.</param>
/// <param name="Tokens">
/// Token ids of a prompt chunk. Empty: "continue": one row, whose token is the last one sampled for this slot, which
/// never left the worker.
/// </param>
/// <param name="NewBlocks">KV block ids appended to this sequence's block table before the step.</param>
/// <param name="Sample">
/// Compute logits for the last row and draw a token (false for all but the last chunk of a prompt).
/// </param>
public sealed record StepSequence(
    int Slot, SequenceStart? Start, int Position, IReadOnlyList<int> Tokens, IReadOnlyList<int> NewBlocks, bool Sample)
{
    /// <summary>Rows this sequence adds to the step.</summary>
    public int Rows => Tokens.Count == 0 ? 1 : Tokens.Count;
}
