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

    /// <summary>
    /// Notes the step's given tokens and draws a token for every sequence that asks for one, in the step's order.
    /// </summary>
    /// <param name="batch">The step.</param>
    /// <param name="activations">Hidden rows after the last block.</param>
    /// <param name="sink">
    /// Where the logits of all sequences' last rows go; null: only those that are needed are computed.
    /// </param>
    public IReadOnlyList<SampledToken> Run(StepBatch batch, Activations activations, Action<StepLogits>? sink)
    {
        NoteTokens(batch);
        var wanted = WantedRows(batch, sink is not null);
        if (wanted.Count == 0)
        {
            return [];
        }

        _model.Normalize(activations);
        int[] rows = [.. wanted.Select(w => w.Row)];
        var gathered = _buffers[WorkspaceBuffers.GatheredRows].RowsAt(0, rows.Length);
        _context.Ops.GatherRows(activations.Normed, _buffers.Upload(WorkspaceBuffers.SampleRows, rows), gathered);
        var logits = _buffers[WorkspaceBuffers.Logits].RowsAt(0, rows.Length);
        _head.Forward(gathered, logits);
        sink?.Invoke(new StepLogits(batch.Step, [.. wanted.Select(w => w.Sequence.Slot)], Whole(logits)));

        StepSequence[] sampled = [.. wanted.Where(w => w.Sequence.Sample).Select(w => w.Sequence)];
        return _sampler.Sample(
            logits.RowsAt(0, sampled.Length),
            [.. sampled.Select(s => s.Slot)],
            [.. sampled.Select(s => s.Position + s.Rows)]);
    }

    public void Dispose() => _sampler.Dispose();

    private void NoteTokens(StepBatch batch)
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

    // Last rows of sequences; those that want a token come first, so that the sampler's logits are one view.
    private static List<(StepSequence Sequence, int Row)> WantedRows(StepBatch batch, bool all)
    {
        var last = new List<(StepSequence Sequence, int Row)>();
        var end = 0;
        foreach (var sequence in batch.Sequences)
        {
            end += sequence.Rows;
            last.Add((sequence, end - 1));
        }

        return [.. last.Where(w => w.Sequence.Sample), .. last.Where(w => all && !w.Sequence.Sample)];
    }

    private float[][] Whole(Tensor logits)
    {
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

        return rows;
    }
}
