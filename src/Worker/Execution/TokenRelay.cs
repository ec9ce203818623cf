using TensorParallel.Protocol.Generation;
using TensorParallel.Worker.Collectives;
using TensorParallel.Worker.Devices;
using TensorParallel.Worker.Modules;

namespace TensorParallel.Worker.Execution;

/// <summary>
/// Brings drawn tokens from the stage that draws them to the one that looks them up, from device to device: a step begins there
/// whether or not anyone outside has read the tokens it goes on with. The last stage posts after every step that draws. The first
/// takes a step's tokens only when a later step goes on with one of them, so that meanwhile it computes other sequences' steps: what
/// makes stages work at once. Both sides know from the steps alone which message is which.
/// <para>
/// Nothing waits in a circle: hidden rows go down the stages, and their send may wait for the next stage, which waits for nothing but
/// the one after it; the last stage's post waits for nobody. So the last stage always comes to an end, then the one before it, up to
/// the first, whose take waits for steps that all have been sent down. At most <see cref="ICollective.MostPosted"/> messages are not
/// taken: before the first stage sends down another step that draws, it takes the oldest.
/// </para>
/// <para>
/// A message is the tokens of all slots as they were after its step. Taken in order they make the first stage's copy what the last
/// stage's was after that step; a newer token of a slot can only be in a later message, so that none is lost. Example: steps 1 (slots
/// 0, 1), 2 (2, 3), 3 (0, 1): before step 3 message 1 is taken, before a step 4 of slots 2 and 3 message 2.
/// </para>
/// With more slots than a posted message has room for, the first stage takes each message behind its own step, and one stage computes at a
/// time. Under tensor parallelism every rank draws and looks up, and there is nothing to do. Used by one thread; owns nothing.
/// </summary>
/// <param name="context">This rank and its peers.</param>
/// <param name="pipeline">Where this rank stands.</param>
/// <param name="lastTokens">I32 [1, slots]: by slot, the last token drawn; null on a rank that neither draws nor looks up.</param>
/// <param name="slots">Number of slots.</param>
internal sealed class TokenRelay(RankContext context, PipelinePosition pipeline, Tensor? lastTokens, int slots)
{
    private readonly bool _takes = pipeline.First != pipeline.Last && context.Rank == pipeline.First;
    private readonly bool _posts = pipeline.First != pipeline.Last && context.Rank == pipeline.Last;

    private readonly bool _takesLate = slots * sizeof(int) <= ICollective.MostPostedBytes;

    // By slot, the number of the message that has its last token.
    private readonly long[] _messages = new long[slots];
    private long _posted;
    private long _taken;

    private Tensor LastTokens =>
        lastTokens ?? throw new InvalidOperationException($"Rank {context.Rank} keeps no tokens, though it draws them or looks them up.");

    /// <summary>Before a step is computed: takes the tokens that it goes on with.</summary>
    public void BeforeStep(StepBatch batch)
    {
        if (!_takes)
        {
            return;
        }

        var (wanted, draws) = (0L, false);
        foreach (var sequence in batch.Sequences)
        {
            draws |= sequence.Sample;
            if (sequence.Tokens.Count == 0)
            {
                wanted = Math.Max(wanted, _messages[sequence.Slot]);
            }
        }

        TakeUpTo(draws ? Math.Max(wanted, _posted + 1 - ICollective.MostPosted) : wanted);
    }

    /// <summary>After a step was computed and its tokens drawn.</summary>
    public void AfterStep(StepBatch batch)
    {
        if (!_takes && !_posts)
        {
            return;
        }

        var draws = false;
        foreach (var sequence in batch.Sequences)
        {
            if (sequence.Sample)
            {
                draws = true;
                _messages[sequence.Slot] = _posted + 1;
            }
        }

        if (!draws)
        {
            return;
        }

        _posted++;
        if (_posts)
        {
            context.Collective.Post(LastTokens, pipeline.First);
        }
        else if (_posted == 1 || !_takesLate)
        {
            // Two ranks may be connected when they first speak, and until both have come neither's host goes on: this one must not
            // leave the other alone with it.
            TakeUpTo(_posted);
        }
    }

    private void TakeUpTo(long message)
    {
        for (; _taken < message; _taken++)
        {
            context.Collective.Take(LastTokens, pipeline.Last);
        }
    }
}
