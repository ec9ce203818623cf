using TensorParallel.Protocol.Generation;
using TensorParallel.Worker.Ops;

namespace TensorParallel.Worker.Execution;

/// <summary>
/// What decides the launches of a step: two steps of equal shape differ in nothing but what the device's memory holds, so that a
/// recording of one serves the other.
/// </summary>
/// <param name="Rows">Rows, with those that only fill up.</param>
/// <param name="Sequences">Sequences, with those that only fill up.</param>
/// <param name="Context">The longest context after the step, or more.</param>
/// <param name="MaxQueryRows">Most rows of one sequence.</param>
/// <param name="LogitRows">Rows whose logits are computed; 0 on a rank without head.</param>
/// <param name="SampledRows">The first of those, which a token is drawn for.</param>
/// <param name="Draw">How the tokens are drawn on the device; null where none are, or where the host must help.</param>
internal sealed record StepShape(
    int Rows, int Sequences, int Context, int MaxQueryRows, int LogitRows, int SampledRows, SummaryLayout? Draw)
{
    private const int SmallestContext = 256;

    /// <summary>Whether logits are wanted of the rows as they stand.</summary>
    public bool WantsEveryRow => SampledRows == Rows;

    /// <summary>A step as it is.</summary>
    public static StepShape Of(StepBatch batch)
    {
        var (rows, context, most) = (0, 0, 0);
        foreach (var sequence in batch.Sequences)
        {
            rows += sequence.Rows;
            context = Math.Max(context, sequence.Position + sequence.Rows);
            most = Math.Max(most, sequence.Rows);
        }

        return new StepShape(rows, batch.Sequences.Count, context, most, 0, 0, null);
    }

    /// <summary>Whether a step does nothing but continue sequences by a token each.</summary>
    public static bool IsDecode(StepBatch batch)
    {
        foreach (var sequence in batch.Sequences)
        {
            if (sequence.Tokens.Count > 0 || sequence.Start is not null || !sequence.Sample)
            {
                return false;
            }
        }

        return true;
    }

    /// <summary>
    /// A decode step rounded up, so that few shapes serve all: to 1, 2, 4, 8, 16, 24, 32, 48, 64, 96 … rows and a context of 256, 512,
    /// 1,024 … tokens, but never beyond the limits. 9 rows, the longest context 300: 16 rows, 512 tokens.
    /// </summary>
    public StepShape RoundedUp(StepLimits limits)
    {
        var rows = Math.Min(RoundRows(Rows), Math.Min(limits.MaxSequences, limits.MaxStepTokens));
        var context = SmallestContext;
        while (context < Context)
        {
            context *= 2;
        }

        return this with { Rows = rows, Sequences = rows, Context = Math.Min(context, limits.MaxContextTokens) };
    }

    // Powers of two, and from 16 on the numbers halfway between them.
    private static int RoundRows(int rows)
    {
        var power = 1;
        while (power < rows)
        {
            power *= 2;
        }

        return power > 16 && rows <= power / 4 * 3 ? power / 4 * 3 : power;
    }
}
