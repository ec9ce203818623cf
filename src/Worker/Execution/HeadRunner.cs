using System.Runtime.InteropServices;
using TensorParallel.Protocol.Generation;
using TensorParallel.Protocol.Parallel;
using TensorParallel.Worker.Collectives;
using TensorParallel.Worker.Devices;
using TensorParallel.Worker.Modules;
using TensorParallel.Worker.Sampling;

namespace TensorParallel.Worker.Execution;

/// <summary>
/// The end of a step on ranks that have the output head: final norm, logits of the rows that want a token, and the
/// draw. Used by one thread; owns its sampler.
/// </summary>
internal sealed class HeadRunner : IDisposable
{
    private readonly RankContext _context;
    private readonly DecoderModel _model;
    private readonly OutputHead _head;
    private readonly StepBuffers _buffers;
    private readonly Sampler _sampler;

    public HeadRunner(
        RankContext context, DecoderModel model, OutputHead head, StepBuffers buffers, StepLimits limits)
    {
        _context = context;
        _model = model;
        _head = head;
        _buffers = buffers;

        // A head that is not cut gives every rank that has it the same logits: each draws for itself, and draws the
        // same.
        ICollective group = head.IsCut ? context.Collective : new SingleRankCollective(context.Device);
        _sampler = new Sampler(context.SamplingOps, context.Device, group, head.Parts, group.Rank, limits);
    }

    /// <summary>I32 [1, MaxSequences]: the last token drawn for each slot.</summary>
    public Tensor LastTokens => _sampler.LastTokens;

    /// <summary>Notes the sequences that a step starts and the tokens it gives.</summary>
    public void Note(StepBatch batch)
    {
        foreach (var sequence in batch.Sequences)
        {
            if (sequence.Start is { } start)
            {
                _sampler.Begin(sequence.Slot, start);
            }

            if (sequence.Tokens.Count > 0)
            {
                _sampler.AppendPrompt(sequence.Slot, [.. sequence.Tokens]);
            }
        }
    }

    /// <summary>A noted step's shape with what the head does in it.</summary>
    public StepShape Shape(StepShape shape, WantedRows wanted)
    {
        var isDrawn = wanted.Sampled > 0 && _sampler.CanDraw(wanted.SampledSlots);
        return shape with
        {
            LogitRows = wanted.Count,
            SampledRows = wanted.Sampled,
            Draw = isDrawn ? _sampler.LayoutOf(wanted.SampledSlots) : null,
        };
    }

    /// <summary>Logits of the wanted rows, on the device alone.</summary>
    public void Issue(StepTensors step)
    {
        var (shape, activations, head) = (step.Shape, step.Activations, step.Head!);
        if (shape.LogitRows == 0)
        {
            return;
        }

        _model.Normalize(activations);
        var rows = activations.Normed;
        if (!shape.WantsEveryRow)
        {
            rows = _buffers[WorkspaceBuffers.GatheredRows].RowsAt(0, shape.LogitRows);
            _context.Ops.GatherRows(activations.Normed, head.Rows, rows);
        }

        _head.Forward(rows, Logits(shape.LogitRows));
    }

    /// <summary>The tokens of these logits where the shape says that the device draws them, on the device alone.</summary>
    public void Draw(StepTensors step)
    {
        if (step.Shape.Draw is { } layout)
        {
            _sampler.Draw(Logits(step.Shape.SampledRows), step.Head!.Slots, step.Head.Positions, layout);
        }
    }

    /// <summary>
    /// Ends the issue of a step: where the host must help it draws now. Gives what <see cref="IPendingStep"/> reads the tokens from.
    /// </summary>
    public (IPendingCopy Outcomes, PendingStep.TokenReader Tokens) Complete(StepShape shape, WantedRows wanted)
    {
        if (shape.Draw is null)
        {
            var sampled = _sampler.Sample(Logits(wanted.Sampled), wanted.SampledSlots, wanted.SampledPositions);
            return (_context.Device.CopyToHostLater(LastTokens.Buffer, 0, 0), _ => sampled);
        }

        _sampler.Advance(wanted.SampledSlots, wanted.SampledPositions);
        var outcomes = _sampler.Outcomes;
        return (
            _context.Device.CopyToHostLater(outcomes.Buffer, outcomes.OffsetBytes, wanted.Sampled * sizeof(int)),
            copy => _sampler.Tokens(
                MemoryMarshal.Cast<byte, int>(copy.Read()), wanted.SampledSlots, wanted.SampledPositions));
    }

    /// <summary>The logits of an issued step, whole; every rank that shares the head calls it, or none.</summary>
    public StepLogits Read(StepBatch batch, WantedRows wanted)
    {
        var logits = Logits(wanted.Count);
        var whole = logits;
        if (_head.IsCut)
        {
            whole = _buffers[WorkspaceBuffers.WholeLogits].RowsAt(0, logits.Rows);
            _context.Collective.AllGatherColumns(logits, whole, [.. _head.Parts.Select(part => part.Length)]);
        }

        var rows = new float[whole.Rows][];
        for (var i = 0; i < rows.Length; i++)
        {
            var view = whole.RowsAt(i, 1);
            rows[i] = new float[whole.Columns];
            _context.Device.CopyToHost(view.Buffer, view.OffsetBytes, MemoryMarshal.AsBytes(rows[i].AsSpan()));
        }

        return new StepLogits(batch.Step, [.. wanted.Slots], rows);
    }

    public void Dispose() => _sampler.Dispose();

    private Tensor Logits(int rows) => _buffers[WorkspaceBuffers.Logits].RowsAt(0, rows);
}
