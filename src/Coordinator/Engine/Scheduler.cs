using TensorParallel.Protocol.Generation;

namespace TensorParallel.Coordinator.Engine;

/// <summary>
/// Continuous batching for one worker group: every step continues the decoding sequences whose turn it is (all, unless stages are
/// to work at once) and fills the rest with prompt chunks of arriving ones, oldest first. A sequence is admitted only when the blocks
/// it can need at most are free and promised to nobody else, so an admitted sequence always finishes. Used by the engine loop only.
/// </summary>
internal sealed class Scheduler
{
    private readonly StepLimits _limits;
    private readonly WaitingQueue _waiting;
    private readonly BlockAllocator _blocks;
    private readonly Stack<int> _freeSlots;
    private readonly List<Sequence> _running = [];
    private readonly DecodeTurns _turns;
    private readonly PromptChunks _chunks;
    private readonly bool _oneStageAtATime;
    private int _promisedBlocks;
    private long _nextStep;

    /// <param name="limits">What the group allocated for.</param>
    /// <param name="waiting">Where sequences are admitted from.</param>
    /// <param name="microBatches">Parts that decoding sequences are divided into, each with steps of its own.</param>
    /// <param name="oneStageAtATime">No stage computes a step before the last one has computed the step before.</param>
    public Scheduler(StepLimits limits, WaitingQueue waiting, int microBatches = 1, bool oneStageAtATime = false)
    {
        _oneStageAtATime = oneStageAtATime;
        MicroBatches = microBatches;
        _turns = new DecodeTurns(microBatches);
        _chunks = new PromptChunks(microBatches);
        _limits = limits;
        _waiting = waiting;
        _blocks = new BlockAllocator(limits.KvBlocks);

        // With a row for every slot, decoding sequences never crowd out a prompt: it holds a slot that does not decode
        // yet.
        var slots = Math.Min(limits.MaxSequences, limits.MaxStepTokens);
        _freeSlots = new Stack<int>(Enumerable.Range(0, slots).Reverse());
    }

    /// <summary>Parts that decoding sequences are divided into.</summary>
    public int MicroBatches { get; }

    /// <summary>Sequences being computed; ended ones that steps in flight still refer to are not counted.</summary>
    public int Running => _running.Count(sequence => !sequence.Ended);

    /// <summary>Slots nobody holds.</summary>
    public int FreeSlots => _freeSlots.Count;

    /// <summary>KV blocks nobody holds.</summary>
    public int FreeBlocks => _blocks.FreeCount;

    /// <summary>Why this group can never run the request, in one sentence; null when it can.</summary>
    public string? Refuse(GenerateRequest request)
    {
        var prompt = request.PromptIds.Count;
        if (prompt == 0 || request.MaxNewTokens < 1)
        {
            return $"A request needs at least one prompt token and one new token, but has {prompt} and "
                + $"{request.MaxNewTokens}.";
        }

        if ((long)prompt + request.MaxNewTokens > _limits.MaxContextTokens)
        {
            return $"The prompt has {prompt} tokens and {request.MaxNewTokens} new ones are asked for, but the context "
                + $"holds {_limits.MaxContextTokens}.";
        }

        var blocks = WorstCaseBlocks(request);
        return blocks > _limits.KvBlocks
            ? $"The prompt of {prompt} tokens and {request.MaxNewTokens} new ones need {blocks} KV blocks of "
                + $"{_limits.KvBlockTokens} tokens, but the cache has {_limits.KvBlocks}."
            : null;
    }

    /// <summary>The next step to send; null when no sequence has anything to compute, or not before the steps in flight are computed.</summary>
    public ScheduledStep? Next()
    {
        Admit();
        if (_oneStageAtATime && WouldOvertake())
        {
            return null;
        }

        var entries = new List<StepSequence>();
        var sequences = new List<Sequence>();
        var budget = _limits.MaxStepTokens;
        var promptRows = PromptRowsLeft();
        foreach (var sequence in _turns.Next(_running, _nextStep, prefilling: promptRows > 0))
        {
            entries.Add(Send(sequence, [], 1, sample: true));
            sequences.Add(sequence);
            budget--;
        }

        budget = Math.Min(budget, _chunks.Next(promptRows, entries.Count));
        foreach (var sequence in promptRows == 0 ? [] : _running.Where(sequence => sequence.IsPrefilling))
        {
            var prompt = sequence.Request.PromptIds;
            var rows = Math.Min(budget, prompt.Count - sequence.SentPositions);
            if (rows == 0)
            {
                break;
            }

            var chunk = prompt.Skip(sequence.SentPositions).Take(rows).ToArray();
            entries.Add(Send(sequence, chunk, rows, sample: sequence.SentPositions + rows == prompt.Count));
            sequences.Add(sequence);
            budget -= rows;
        }

        return entries.Count == 0 ? null : new ScheduledStep(new StepBatch(_nextStep++, entries), sequences);
    }

    /// <summary>
    /// Hands the tokens of a completed step to their sequences and frees what no step refers to any more. Throws when
    /// the answer does not belong to the step. Returns the number of tokens handed out.
    /// </summary>
    public int Complete(ScheduledStep step, StepResult result, long timestamp)
    {
        CheckAnswer(step.Batch, result);
        var next = 0;
        var handedOut = 0;
        for (var i = 0; i < step.Sequences.Count; i++)
        {
            var sequence = step.Sequences[i];
            sequence.StepsInFlight--;
            if (step.Batch.Sequences[i].Sample)
            {
                var token = result.Tokens[next++];
                if (!sequence.Ended)
                {
                    sequence.Append(token, timestamp);
                    handedOut++;
                    UnpromiseIfEnded(sequence);
                }
            }

            ReleaseIfUnused(sequence);
        }

        return handedOut;
    }

    /// <summary>
    /// Stops computing a sequence. Its slot and blocks are free once no step in flight refers to them.
    /// </summary>
    public void End(Sequence sequence, Exception? error)
    {
        if (!sequence.Ended)
        {
            sequence.End(error);
            UnpromiseIfEnded(sequence);
            ReleaseIfUnused(sequence);
        }
    }

    /// <summary>
    /// Ends all sequences that have a slot, each with an error of its own (throwing writes into an exception), because
    /// the group is lost or given up. Nothing is scheduled afterwards.
    /// </summary>
    public void Abandon(Func<Exception> error)
    {
        foreach (var sequence in _running)
        {
            sequence.End(error());
        }
    }

    private static void CheckAnswer(StepBatch batch, StepResult result)
    {
        var expected = batch.Sequences.Where(entry => entry.Sample).Select(entry => entry.Slot);
        if (result.Step != batch.Step || !expected.SequenceEqual(result.Tokens.Select(token => token.Slot)))
        {
            var got = string.Join(", ", result.Tokens.Select(token => token.Slot));
            throw new InvalidDataException(
                $"The workers answered step {result.Step} with tokens for slots [{got}], but step {batch.Step} asked for "
                + $"slots [{string.Join(", ", expected)}].");
        }
    }

    private void Admit()
    {
        while (_freeSlots.Count > 0 && _waiting.TryPeek(out var sequence))
        {
            var blocks = WorstCaseBlocks(sequence.Request);
            if (blocks > _blocks.FreeCount - _promisedBlocks)
            {
                return;
            }

            _waiting.Dequeue();
            _promisedBlocks += blocks;
            sequence.Slot = _freeSlots.Pop();
            _running.Add(sequence);
        }
    }

    // A step that goes on with a token of the step before waits for it at the first stage, and may be sent ahead. One of prompt rows alone
    // would be computed there while later stages still compute the step before.
    private bool WouldOvertake() =>
        _running.Exists(sequence => sequence.StepsInFlight > 0)
        && !_running.Exists(sequence => sequence is { IsDecoding: true, StepsInFlight: 1 } && sequence.LastStep == _nextStep - 1);

    private long PromptRowsLeft()
    {
        var rows = 0L;
        foreach (var sequence in _running)
        {
            rows += sequence.IsPrefilling ? sequence.Request.PromptIds.Count - sequence.SentPositions : 0;
        }

        return rows;
    }

    private StepSequence Send(Sequence sequence, IReadOnlyList<int> tokens, int rows, bool sample)
    {
        var request = sequence.Request;
        var position = sequence.SentPositions;
        var start = position == 0 ? new SequenceStart(request.PromptIds.Count, request.Sampling) : null;
        var newBlocks = new List<int>();
        while (sequence.Blocks.Count * _limits.KvBlockTokens < position + rows)
        {
            var block = _blocks.Allocate();
            _promisedBlocks--;
            newBlocks.Add(block);
            sequence.Blocks.Add(block);
        }

        sequence.SentPositions += rows;
        sequence.SentSamples += sample ? 1 : 0;
        sequence.StepsInFlight++;
        sequence.LastStep = _nextStep;
        return new StepSequence(sequence.Slot, start, position, tokens, newBlocks, sample);
    }

    private void UnpromiseIfEnded(Sequence sequence)
    {
        if (sequence.Ended)
        {
            _promisedBlocks -= WorstCaseBlocks(sequence.Request) - sequence.Blocks.Count;
        }
    }

    private void ReleaseIfUnused(Sequence sequence)
    {
        if (sequence.Ended && sequence.StepsInFlight == 0)
        {
            _running.Remove(sequence);
            _freeSlots.Push(sequence.Slot);
            foreach (var block in sequence.Blocks)
            {
                _blocks.Release(block);
            }
        }
    }

    // The last token generated is never fed back. Example: prompt 30, 3 new ones, blocks of 16: 32 positions, 2 blocks.
    private int WorstCaseBlocks(GenerateRequest request)
    {
        var positions = request.PromptIds.Count + request.MaxNewTokens - 1;
        return (positions + _limits.KvBlockTokens - 1) / _limits.KvBlockTokens;
    }
}
