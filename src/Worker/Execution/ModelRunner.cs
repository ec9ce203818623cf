using System.Diagnostics;
using System.Runtime.InteropServices;
using TensorParallel.Protocol.Generation;
using TensorParallel.Protocol.Parallel;
using TensorParallel.Worker.Devices;
using TensorParallel.Worker.Modules;

namespace TensorParallel.Worker.Execution;

/// <summary>
/// Executes steps on one rank: rows in (token ids, or hidden rows of the rank before), this rank's blocks, rows out (to the next
/// rank, or through the head to the sampler). Every rank runs the same steps in the same order. Used by one thread; owns nothing.
/// </summary>
internal sealed class ModelRunner(
    RankContext context, DecoderModel model, StepBuffers buffers, SlotTable slots, PipelinePosition pipeline)
{
    private readonly int[] _lastTokens = new int[slots.Count];

    /// <summary>
    /// Sees the logits of every sampled row, whole, on ranks that have the head: for tests and comparisons. Set it on all of those ranks
    /// or on none, because cut logits are gathered for it.
    /// </summary>
    public Action<StepLogits>? LogitSink { get; set; }

    /// <summary>
    /// Executes one step. Throws <see cref="StepException"/> before anything is computed when the step contradicts the limits or what
    /// the slots hold. Tokens are returned by the rank that reports them: rank 0, or in a device map the rank of the head.
    /// </summary>
    public StepResult Step(StepBatch batch)
    {
        var start = Stopwatch.GetTimestamp();
        IReadOnlyList<SampledToken> tokens = pipeline.IsIdle ? [] : Execute(batch);
        return new StepResult(batch.Step, tokens, (long)Stopwatch.GetElapsedTime(start).TotalMicroseconds);
    }

    private IReadOnlyList<SampledToken> Execute(StepBatch batch)
    {
        slots.Begin(batch);
        var activations = buffers.Prepare(batch, slots);
        if (pipeline.Previous is { } previous)
        {
            context.Collective.Receive(activations.Hidden, previous);
        }
        else
        {
            model.Embed(TokenIds(batch, activations.Hidden.Rows), activations);
        }

        model.RunBlocks(activations);
        IReadOnlyList<SampledToken> tokens = [];
        if (pipeline.Next is { } next)
        {
            model.CompleteHidden(activations);
            context.Collective.Send(activations.Hidden, next);
        }
        else if (SampledRows(batch) is { Length: > 0 } rows)
        {
            tokens = Sample(batch, rows, activations);
        }

        ReturnTokens(batch, tokens);
        slots.End(batch);
        return pipeline.Previous is not null || context.Rank == 0 ? tokens : [];
    }

    private Tensor TokenIds(StepBatch batch, int rows)
    {
        var ids = new int[rows];
        var row = 0;
        foreach (var sequence in batch.Sequences)
        {
            if (sequence.Tokens.Count == 0)
            {
                ids[row++] = _lastTokens[sequence.Slot];
            }

            foreach (var token in sequence.Tokens)
            {
                ids[row++] = token;
            }
        }

        return buffers.Upload(WorkspaceBuffers.TokenIds, ids);
    }

    private IReadOnlyList<SampledToken> Sample(StepBatch batch, int[] rows, Activations activations)
    {
        var head = model.Head ?? throw new InvalidOperationException($"Rank {context.Rank} has no output head.");
        model.Normalize(activations);
        var gathered = buffers[WorkspaceBuffers.GatheredRows].RowsAt(0, rows.Length);
        context.Ops.GatherRows(activations.Normed, buffers.Upload(WorkspaceBuffers.SampleRows, rows), gathered);
        var logits = buffers[WorkspaceBuffers.Logits].RowsAt(0, rows.Length);
        head.Forward(gathered, logits);
        ShowLogits(batch, head, logits);
        return [];
    }

    private void ShowLogits(StepBatch batch, OutputHead head, Tensor logits)
    {
        if (LogitSink is not { } sink)
        {
            return;
        }

        var whole = logits;
        if (head.PartColumns is { } columns)
        {
            whole = buffers[WorkspaceBuffers.WholeLogits].RowsAt(0, logits.Rows);
            context.Collective.AllGatherColumns(logits, whole, columns);
        }

        var rows = new float[whole.Rows][];
        for (var i = 0; i < rows.Length; i++)
        {
            var view = whole.RowsAt(i, 1);
            rows[i] = new float[whole.Columns];
            context.Device.CopyToHost(view.Buffer, view.OffsetBytes, MemoryMarshal.AsBytes(rows[i].AsSpan()));
        }

        sink(new StepLogits(batch.Step, [.. batch.Sequences.Where(s => s.Sample).Select(s => s.Slot)], rows));
    }

    private static void ReturnTokens(StepBatch batch, IReadOnlyList<SampledToken> tokens)
    {
    }

    private static int[] SampledRows(StepBatch batch)
    {
        var rows = new List<int>();
        var end = 0;
        foreach (var sequence in batch.Sequences)
        {
            end += sequence.Rows;
            if (sequence.Sample)
            {
                rows.Add(end - 1);
            }
        }

        return [.. rows];
    }
}
