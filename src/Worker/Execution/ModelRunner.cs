using System.Diagnostics;
using TensorParallel.Protocol.Generation;
using TensorParallel.Protocol.Parallel;
using TensorParallel.Worker.Collectives;
using TensorParallel.Worker.Devices;
using TensorParallel.Worker.Modules;

namespace TensorParallel.Worker.Execution;

/// <summary>
/// Executes steps on one rank: rows in (token ids, or hidden rows of the rank before), this rank's blocks, rows out
/// (to the next rank, or through the head to the sampler). Every rank runs the same steps in the same order. Drawn tokens stay on
/// the device, so that a step can be issued before the one ahead of it is done. Used by one thread; owns nothing.
/// </summary>
/// <param name="context">This rank and its peers.</param>
/// <param name="model">This rank's modules.</param>
/// <param name="buffers">Memory of a step.</param>
/// <param name="slots">Sequences.</param>
/// <param name="limits">The largest step.</param>
/// <param name="head">Turns hidden rows into tokens; null on a rank without output head.</param>
/// <param name="pipeline">Where this rank stands among the others.</param>
/// <param name="decodeSteps">Where decode steps are recorded, if the device does so.</param>
internal sealed class ModelRunner(
    RankContext context,
    DecoderModel model,
    StepBuffers buffers,
    SlotTable slots,
    StepLimits limits,
    HeadRunner? head,
    PipelinePosition pipeline,
    IRepeatedWork decodeSteps)
{
    private readonly StepInputs? _inputs = pipeline.IsIdle
        ? null
        : new StepInputs(context.Device, buffers, slots, limits.KvBlockTokens);

    // By slot, what "continue" rows go on with; null on a rank that neither draws tokens nor looks them up.
    private readonly Tensor? _lastTokens = head?.LastTokens ?? buffers.Find(WorkspaceBuffers.LastTokens);
    private readonly TokenRelay _relay = new(
        context, pipeline, head?.LastTokens ?? buffers.Find(WorkspaceBuffers.LastTokens), slots.Count);

    private readonly StepClock _clock = new();

    // In a device map ranks without head do not know how tokens are drawn. They must record and replay in the same steps as the head's,
    // so there the draw is no part of it.
    private readonly bool _recordsDraw = pipeline.First == pipeline.Last;

    /// <summary>
    /// Sees the logits of every sequence's last row, whole, on ranks that have the head: for tests and comparisons.
    /// Set it on all of those ranks or on none, because cut logits are gathered for it.
    /// </summary>
    public Action<StepLogits>? LogitSink { get; set; }

    /// <summary>Executes one step and waits for it: <see cref="Issue"/>, then its end.</summary>
    public StepResult Step(StepBatch batch) => Issue(batch).Finish();

    /// <summary>
    /// Gives one step to the device. Throws <see cref="StepException"/> before anything is computed when the step contradicts
    /// the limits or what the slots hold. Tokens are in the result of one rank: rank 0, or in a device map the rank
    /// of the head.
    /// </summary>
    public IPendingStep Issue(StepBatch batch)
    {
        var began = Stopwatch.GetTimestamp();
        try
        {
            IPendingCopy outcomes = new FinishedCopy([]);
            PendingStep.TokenReader tokens = NoTokens;
            if (_inputs is not null)
            {
                (outcomes, tokens) = IssueChecked(batch, _inputs);
            }

            // A rank that does not report looks at its tokens all the same: where none could be drawn, all ranks must say so.
            return new PendingStep(
                batch.Step, began, _clock, context.Collective, outcomes,
                copy => tokens(copy) is var drawn && pipeline.Reports ? drawn : []);
        }
        catch (Exception e) when (e is not CollectiveException)
        {
            context.Collective.ThrowIfFailed();
            throw;
        }
    }

    private (IPendingCopy Outcomes, PendingStep.TokenReader Tokens) IssueChecked(StepBatch batch, StepInputs inputs)
    {
        slots.Begin(batch);
        head?.Note(batch);
        var wanted = head is null ? null : new WantedRows(batch, all: LogitSink is not null);
        var isDecode = StepShape.IsDecode(batch) && LogitSink is null;
        var step = inputs.Upload(batch, ShapeOf(batch, wanted, isDecode), wanted);
        _relay.BeforeStep(batch);
        var key = _recordsDraw ? step.Shape : step.Shape with { Draw = null };
        if (!isDecode)
        {
            Compute(step);
        }
        else if (decodeSteps.Run(key, () => Compute(step)))
        {
            context.Collective.Replayed();
        }

        if (!_recordsDraw)
        {
            head?.Draw(step);
        }

        var result = Complete(batch, step.Shape, wanted);
        slots.End(batch);
        return result;
    }

    private StepShape ShapeOf(StepBatch batch, WantedRows? wanted, bool isDecode)
    {
        var shape = StepShape.Of(batch);
        shape = wanted is null ? shape : head!.Shape(shape, wanted);
        if (!isDecode || !decodeSteps.PrefersFewKeys)
        {
            return shape;
        }

        shape = shape.RoundedUp(limits);
        return wanted is null ? shape : shape with { LogitRows = shape.Rows, SampledRows = shape.Rows };
    }

    // On the device alone: what a recording holds.
    private void Compute(StepTensors step)
    {
        var activations = step.Activations;
        if (pipeline.Previous is { } previous)
        {
            context.Collective.Receive(activations.Hidden, previous);
        }
        else
        {
            var (given, rowSlots, ids) = step.Tokens ?? throw NotHere("token embedding");
            context.Ops.TokenIds(given, rowSlots, _lastTokens ?? throw NotHere("token embedding"), ids);
            model.Embed(ids, activations);
        }

        model.RunBlocks(activations);
        if (pipeline.Next is { } next)
        {
            // Where the send waits until the next stage takes the rows, this one begins its next step when that one begins this: steps
            // that are about as long move down together, and a second buffer of rows would save a stage nothing but the difference.
            // The way itself is short: 1,024 rows of 8 KiB at 200 GB/s: 42 us.
            model.CompleteHidden(activations);
            context.Collective.Send(activations.Hidden, next);
        }
        else
        {
            (head ?? throw NotHere("output head")).Issue(step);
            if (_recordsDraw)
            {
                head.Draw(step);
            }
        }
    }

    private (IPendingCopy Outcomes, PendingStep.TokenReader Tokens) Complete(
        StepBatch batch, StepShape shape, WantedRows? wanted)
    {
        IPendingCopy? outcomes = null;
        PendingStep.TokenReader tokens = NoTokens;
        if (head is not null && wanted is not null && wanted.Count > 0)
        {
            LogitSink?.Invoke(head.Read(batch, wanted));
            (outcomes, tokens) = head.Complete(shape, wanted);
        }

        _relay.AfterStep(batch);
        var any = buffers[WorkspaceBuffers.StepInputs];
        return (outcomes ?? context.Device.CopyToHostLater(any.Buffer, any.OffsetBytes, 0), tokens);
    }

    private static IReadOnlyList<SampledToken> NoTokens(IPendingCopy outcomes) => [];

    private InvalidOperationException NotHere(string part) => new($"Rank {context.Rank} has no {part}.");
}
