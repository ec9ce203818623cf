using TensorParallel.Protocol.Generation;

namespace TensorParallel.Protocol.Wire;

/// <summary>
/// The one place where the messages of <c>worker.proto</c> become records and back. Reading is strict: what is outside
/// its documented bounds throws <see cref="WireException"/>, so that nothing behind this line checks again.
/// </summary>
public static partial class WireMapping
{
    /// <summary>A step as a message; the message must not be changed after it was handed to a connection.</summary>
    public static Workers.Step ToWire(StepBatch batch)
    {
        var step = new Workers.Step { Step_ = batch.Step };
        foreach (var sequence in batch.Sequences)
        {
            step.Sequences.Add(ToWire(sequence));
        }

        return step;
    }

    /// <summary>
    /// A step as a record, checked against the sizes the ranks allocated for: rows of the whole step, slots (each
    /// once), positions, block ids.
    /// </summary>
    public static StepBatch ToRecord(Workers.Step step, StepLimits limits)
    {
        var where = $"step {step.Step_}";
        Require(step.Step_ >= 0, where, "number", step.Step_, "not negative");
        Require(step.Sequences.Count <= limits.MaxSequences, where, "sequences", step.Sequences.Count,
            $"at most {limits.MaxSequences}");
        var sequences = new StepSequence[step.Sequences.Count];
        var slots = new HashSet<int>(sequences.Length);
        var rows = 0L;
        for (var i = 0; i < sequences.Length; i++)
        {
            sequences[i] = ToRecord(step.Sequences[i], limits, $"{where}, sequence {i}");
            Require(slots.Add(sequences[i].Slot), where, "slot", sequences[i].Slot, "named once in a step");
            rows += sequences[i].Rows;
        }

        Require(rows <= limits.MaxStepTokens, where, "rows", rows, $"at most {limits.MaxStepTokens}");
        return new StepBatch(step.Step_, sequences);
    }

    private static Workers.StepSequence ToWire(StepSequence sequence)
    {
        var message = new Workers.StepSequence
        {
            Slot = sequence.Slot,
            Position = sequence.Position,
            Tokens = Int32Bytes.Of(sequence.Tokens),
            NewBlocks = Int32Bytes.Of(sequence.NewBlocks),
            Sample = sequence.Sample,
        };
        if (sequence.Start is { } start)
        {
            message.Start = new Workers.SequenceStart
            {
                PromptTokens = start.PromptTokens,
                Sampling = ToWire(start.Sampling),
            };
        }

        return message;
    }

    private static StepSequence ToRecord(Workers.StepSequence message, StepLimits limits, string where)
    {
        RequireIndex(message.Slot, limits.MaxSequences, where, "slot");
        var (tokens, newBlocks) = (Int32Bytes.Read(message.Tokens, where, "tokens"), Int32Bytes.Read(message.NewBlocks, where, "new blocks"));
        foreach (var block in newBlocks)
        {
            RequireIndex(block, limits.KvBlocks, where, "new block");
        }

        foreach (var token in tokens)
        {
            Require(token >= 0, where, "token", token, "not negative");
        }

        var start = message.Start is null ? null : ToRecord(message.Start, limits, where);
        Require(start is null || tokens.Length > 0, where, "tokens", 0, "given when the sequence starts");
        var sequence = new StepSequence(message.Slot, start, message.Position,
            tokens, newBlocks, message.Sample);
        Require(message.Position >= 0, where, "position", message.Position, "not negative");
        Require((long)message.Position + sequence.Rows <= limits.MaxContextTokens, where, "position", message.Position,
            $"such that {sequence.Rows} rows end within the context of {limits.MaxContextTokens}");
        return sequence;
    }

    private static SequenceStart ToRecord(Workers.SequenceStart message, StepLimits limits, string where)
    {
        Require(message.PromptTokens >= 1 && message.PromptTokens <= limits.MaxContextTokens, where, "prompt_tokens",
            message.PromptTokens, $"in 1 … {limits.MaxContextTokens}");
        return message.Sampling is { } sampling
            ? new SequenceStart(message.PromptTokens, ToRecord(sampling, where))
            : throw new WireException($"{where}: start has no sampling parameters.");
    }

    // The sentence is made only where it is needed: a prompt has thousands of numbers.
    private static void RequireIndex(int value, int count, string where, string field)
    {
        if (value < 0 || value >= count)
        {
            Require(false, where, field, value, $"in 0 … {count - 1}");
        }
    }

    private static void Require<T>(bool holds, string where, string field, T value, string expected)
    {
        if (!holds)
        {
            throw new WireException(
                FormattableString.Invariant($"{where}: {field} is {value}, it must be {expected}."));
        }
    }
}
