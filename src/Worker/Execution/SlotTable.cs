using TensorParallel.Protocol.Generation;

namespace TensorParallel.Worker.Execution;

/// <summary>
/// The sequences of this rank by slot. A step is data from outside: everything in it is checked before anything
/// changes, since a wrong block id or position would silently overwrite another sequence's keys. Used by one thread.
/// </summary>
internal sealed class SlotTable(StepLimits limits, int vocabularySize)
{
    private readonly SequenceSlot[] _slots =
        [.. Enumerable.Range(0, limits.MaxSequences).Select(_ => new SequenceSlot())];

    private readonly HashSet<int> _seenSlots = [];
    private long? _lastStep;

    /// <summary>Most blocks of one sequence.</summary>
    public int MaxBlocks { get; } = (limits.MaxContextTokens + limits.KvBlockTokens - 1) / limits.KvBlockTokens;

    /// <summary>Number of slots.</summary>
    public int Count => _slots.Length;

    /// <summary>The sequence in a slot.</summary>
    public SequenceSlot this[int slot] => _slots[slot];

    /// <summary>
    /// Checks a step, then appends its blocks; lengths still are those before the step. Throws <see
    /// cref="StepException"/> and changes nothing when the step contradicts itself, the limits or what the slots
    /// hold.
    /// </summary>
    public void Begin(StepBatch batch)
    {
        Check(batch);
        _lastStep = batch.Step;
        foreach (var sequence in batch.Sequences)
        {
            var slot = _slots[sequence.Slot];
            if (sequence.Start is not null)
            {
                slot.Reset();
            }

            slot.Blocks.AddRange(sequence.NewBlocks);
        }
    }

    /// <summary>Notes that the step's rows are in the cache.</summary>
    public void End(StepBatch batch)
    {
        foreach (var sequence in batch.Sequences)
        {
            _slots[sequence.Slot].Advance(sequence.Rows, sequence.Sample);
        }
    }

    private void Check(StepBatch batch)
    {
        if (BatchProblem(batch) is { } problem)
        {
            throw new StepException($"Step {batch.Step} cannot be executed: {problem}.");
        }

        _seenSlots.Clear();
        foreach (var sequence in batch.Sequences)
        {
            if ((SlotProblem(sequence) ?? SequenceProblem(sequence)) is { } wrong)
            {
                throw new StepException($"Step {batch.Step} cannot be executed: slot {sequence.Slot}: {wrong}.");
            }
        }
    }

    private string? BatchProblem(StepBatch batch)
    {
        var count = batch.Sequences.Count;
        var rows = batch.Sequences.Sum(s => (long)s.Rows);
        return _lastStep is { } last && batch.Step != last + 1 ? $"it follows step {last}: a step was lost"
            : count < 1 || count > limits.MaxSequences
                ? $"it has {count} sequences, but 1 to {limits.MaxSequences} are possible"
            : rows > limits.MaxStepTokens ? $"it has {rows} rows, but the buffers hold {limits.MaxStepTokens}"
            : null;
    }

    private string? SlotProblem(StepSequence sequence) =>
        sequence.Slot < 0 || sequence.Slot >= _slots.Length ? $"the slot is outside 0 … {_slots.Length - 1}"
        : _seenSlots.Add(sequence.Slot) ? null
        : "the slot occurs twice";

    private string? SequenceProblem(StepSequence sequence)
    {
        var slot = _slots[sequence.Slot];
        var isNew = sequence.Start is not null;
        var length = isNew ? 0 : slot.Length;
        var lengthAfter = (long)length + sequence.Rows;
        return !isNew && length == 0 ? "it continues a sequence that was never started"
            : sequence.Position != length ? $"it goes on at position {sequence.Position} but holds {length} tokens"
            : sequence.Tokens.Count == 0 && (isNew || !slot.HasSampledToken)
                ? "it continues with the last sampled token, but its last step sampled none"
            : sequence.Tokens.Count > 0 && !isNew && slot.HasSampledToken
                ? $"it brings a token for position {length}, but that was sampled already: start it anew"
            : lengthAfter > limits.MaxContextTokens
                ? $"it would hold {lengthAfter} tokens, but the context ends at {limits.MaxContextTokens}"
            : TokenProblem(sequence.Tokens)
                ?? BlockProblem(sequence.NewBlocks, isNew ? [] : slot.Blocks, (int)lengthAfter);
    }

    private string? TokenProblem(IReadOnlyList<int> tokens)
    {
        foreach (var token in tokens)
        {
            if (token < 0 || token >= vocabularySize)
            {
                return $"token {token} is outside the vocabulary of {vocabularySize}";
            }
        }

        return null;
    }

    private string? BlockProblem(IReadOnlyList<int> newBlocks, List<int> held, int lengthAfter)
    {
        var count = held.Count + newBlocks.Count;
        if (count > MaxBlocks || (long)count * limits.KvBlockTokens < lengthAfter)
        {
            return $"it has {count} KV blocks of {limits.KvBlockTokens} for {lengthAfter} tokens, where {MaxBlocks} " +
                "are possible";
        }

        for (var i = 0; i < newBlocks.Count; i++)
        {
            var block = newBlocks[i];
            if (block < 0 || block >= limits.KvBlocks)
            {
                return $"KV block {block} is outside 0 … {limits.KvBlocks - 1}";
            }

            if (held.Contains(block) || newBlocks.Take(i).Contains(block))
            {
                return $"KV block {block} occurs twice";
            }
        }

        return null;
    }
}
