using TensorParallel.Protocol.Generation;

namespace TensorParallel.Worker.Execution;

/// <summary>The rows of a step whose logits are computed: last rows of sequences, first those that a token is drawn for.</summary>
internal sealed class WantedRows
{
    private readonly int[] _rows;
    private readonly int[] _slots;
    private readonly int[] _positions;

    /// <summary>Finds them.</summary>
    /// <param name="batch">The step.</param>
    /// <param name="all">The last rows of all sequences, also of those that want no token.</param>
    public WantedRows(StepBatch batch, bool all)
    {
        foreach (var sequence in batch.Sequences)
        {
            Sampled += sequence.Sample ? 1 : 0;
        }

        Count = all ? batch.Sequences.Count : Sampled;
        (_rows, _slots, _positions) = (new int[Count], new int[Count], new int[Count]);
        var (end, sampled, others) = (0, 0, Sampled);
        foreach (var sequence in batch.Sequences)
        {
            end += sequence.Rows;
            if (sequence.Sample || all)
            {
                var at = sequence.Sample ? sampled++ : others++;
                (_rows[at], _slots[at], _positions[at]) = (end - 1, sequence.Slot, sequence.Position + sequence.Rows);
            }
        }
    }

    /// <summary>Rows whose logits are computed.</summary>
    public int Count { get; }

    /// <summary>The first of those, which a token is drawn for.</summary>
    public int Sampled { get; }

    /// <summary>Their numbers in the step.</summary>
    public ReadOnlySpan<int> Rows => _rows;

    /// <summary>Their slots.</summary>
    public ReadOnlySpan<int> Slots => _slots;

    /// <summary>Slots of the sampled ones.</summary>
    public ReadOnlySpan<int> SampledSlots => _slots.AsSpan(0, Sampled);

    /// <summary>Positions that the sampled ones' tokens will stand at.</summary>
    public ReadOnlySpan<int> SampledPositions => _positions.AsSpan(0, Sampled);
}
