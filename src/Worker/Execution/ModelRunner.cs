using System.Diagnostics;
using System.Runtime.InteropServices;
using TensorParallel.Protocol.Generation;
using TensorParallel.Protocol.Parallel;
using TensorParallel.Worker.Collectives;
using TensorParallel.Worker.Devices;
using TensorParallel.Worker.Modules;

namespace TensorParallel.Worker.Execution;

/// <summary>
/// Executes steps on one rank: rows in (token ids, or hidden rows of the rank before), this rank's blocks, rows out
/// (to the next rank, or through the head to the sampler). Every rank runs the same steps in the same order. Used by
/// one thread; owns nothing.
/// </summary>
/// <param name="context">This rank and its peers.</param>
/// <param name="model">This rank's modules.</param>
/// <param name="buffers">Memory of a step.</param>
/// <param name="slots">Sequences.</param>
/// <param name="head">Turns hidden rows into tokens; null on a rank without output head.</param>
/// <param name="pipeline">Where this rank stands among the others.</param>
internal sealed class ModelRunner(
    RankContext context,
    DecoderModel model,
    StepBuffers buffers,
    SlotTable slots,
    HeadRunner? head,
    PipelinePosition pipeline)
{
    // Of the rank that looks up tokens: what "continue" rows go on with.
    private readonly int[] _lastTokens = new int[slots.Count];

    /// <summary>
    /// Sees the logits of every sequence's last row, whole, on ranks that have the head: for tests and comparisons.
    /// Set it on all of those ranks or on none, because cut logits are gathered for it.
    /// </summary>
    public Action<StepLogits>? LogitSink { get; set; }

    /// <summary>
    /// Executes one step. Throws <see cref="StepException"/> before anything is computed when the step contradicts
    /// the limits or what the slots hold. Tokens are in the result of one rank: rank 0, or in a device map the rank
    /// of the head.
    /// </summary>
    public StepResult Step(StepBatch batch)
    {
        var start = Stopwatch.GetTimestamp();
        var tokens = pipeline.IsIdle ? [] : ExecuteChecked(batch);
        return new StepResult(
            batch.Step, pipeline.Reports ? tokens : [], (long)Stopwatch.GetElapsedTime(start).TotalMicroseconds);
    }

    // What was computed after a collective that failed unseen is meaningless, and so is any error that came of it: the collective's
    // own goes first.
    private IReadOnlyList<SampledToken> ExecuteChecked(StepBatch batch)
    {
        try
        {
            var tokens = Execute(batch);
            context.Collective.ThrowIfFailed();
            return tokens;
        }
        catch (Exception e) when (e is not CollectiveException)
        {
            context.Collective.ThrowIfFailed();
            throw;
        }
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
        else
        {
            tokens = (head ?? throw new InvalidOperationException($"Rank {context.Rank} has no output head."))
                .Run(batch, activations, LogitSink);
        }

        KeepTokens(batch, tokens);
        slots.End(batch);
        return tokens;
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

    // The rank that looks up tokens gets them before the step ends, from the rank that drew them: the next step may
    // begin before anyone outside has read this one's result.
    private void KeepTokens(StepBatch batch, IReadOnlyList<SampledToken> tokens)
    {
        foreach (var token in tokens)
        {
            _lastTokens[token.Slot] = token.TokenId;
        }

        if (pipeline.First == pipeline.Last || !batch.Sequences.Any(s => s.Sample))
        {
            return;
        }

        if (context.Rank == pipeline.Last && head is not null)
        {
            context.Collective.Send(head.LastTokens, pipeline.First);
        }
        else if (context.Rank == pipeline.First)
        {
            // The ids of this step are no longer needed: their buffer has room for one token a slot.
            var received = buffers[WorkspaceBuffers.TokenIds].ColumnsAt(0, _lastTokens.Length);
            context.Collective.Receive(received, pipeline.Last);
            context.Device.CopyToHost(
                received.Buffer, received.OffsetBytes, MemoryMarshal.AsBytes(_lastTokens.AsSpan()));
        }
    }
}
