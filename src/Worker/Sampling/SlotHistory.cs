using TensorParallel.Protocol.Generation;
using TensorParallel.Worker.Devices;
using TensorParallel.Worker.Ops;

namespace TensorParallel.Worker.Sampling;

/// <summary>What the sampler knows of one slot's sequence.</summary>
internal sealed class SlotHistory
{
    /// <summary>Start of the sequence; null: the slot was never begun.</summary>
    public SequenceStart? Start { get; private set; }

    /// <summary>The start's settings, packed.</summary>
    public SlotSettings Settings { get; private set; }

    /// <summary>Tokens so far, prompt and generated: the position of the next one.</summary>
    public int Length { get; set; }

    /// <summary>
    /// I32 [1, local vocabulary], allocated when the slot's first sequence with penalties begins, 4 bytes a token of
    /// the vocabulary, and kept for the next.
    /// </summary>
    public Tensor? Counts { get; set; }

    /// <summary>Starts a sequence.</summary>
    public void Begin(int slot, SequenceStart start)
    {
        Settings = SlotSettings.From(slot, start);
        Start = start;
        Length = 0;
    }
}
