using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Protocol.Generation;

namespace TensorParallel.Protocol.Parallel;

/// <summary>
/// The buffers of a sampler on a rank with (a part of) the output head: what the plan counts and the worker allocates,
/// from one formula. S = most sequences of a step, n = ranks that share the vocabulary, V = its size, Vr = this rank's
/// part. Most of it is the tokens' counts for penalties: 16 sequences, 128,256 tokens, 2 ranks: 4.1 of 5.0 MB.
/// </summary>
public static class SamplerWorkspace
{
    /// <summary>
    /// Most candidates that one rank names for one sequence. A larger top-k is decided on gathered logits.
    /// </summary>
    public const int MaxCandidates = 256;

    /// <summary>
    /// 4-byte words of what one rank tells the others about one sequence, at most: 9, then value and id of each
    /// candidate and of each log-probability.
    /// </summary>
    public const int SummaryWords = 9 + (2 * MaxCandidates) + (2 * SamplingLimits.MaxLogProbs);

    /// <summary>4-byte words of one sequence's settings: 13, and the end-of-sequence ids.</summary>
    public const int SettingsWords = 13 + SamplingLimits.MaxEosTokenIds;

    /// <summary>I32 [S, <see cref="SummaryWords"/>]: this rank's summaries.</summary>
    public const string Summary = "summary";

    /// <summary>I32 [S, n · <see cref="SummaryWords"/>]; only where the vocabulary is shared.</summary>
    public const string Summaries = "summaries";

    /// <summary>I32 [S, <see cref="SettingsWords"/>], by slot.</summary>
    public const string Settings = "settings";

    /// <summary>I32 [S, Vr], by slot: what the sequence holds of each token; for penalties.</summary>
    public const string Counts = "counts";

    /// <summary>I32 [1, S]: slots of a step's rows.</summary>
    public const string Slots = "slots";

    /// <summary>I32 [1, S]: positions of a step's rows.</summary>
    public const string Positions = "positions";

    /// <summary>I32 [1, S]: tokens of a step's rows.</summary>
    public const string Tokens = "tokens";

    /// <summary>I32 [1, S], by slot.</summary>
    public const string LastTokens = "last_tokens";

    /// <summary>F32 [1, S]: raw logits of the drawn tokens.</summary>
    public const string Picked = "picked";

    /// <summary>I32 [1, most tokens of a step]: ids on their way into counts.</summary>
    public const string Ids = "ids";

    /// <summary>F32 [1, Vr]: one sequence's logits after penalties.</summary>
    public const string OwnRow = "own_row";

    /// <summary>F32 [1, V]; only where the vocabulary is shared.</summary>
    public const string WholeRow = "whole_row";

    /// <summary>The buffers in allocation order.</summary>
    /// <param name="vocabulary">V.</param>
    /// <param name="ownTokens">Vr; may be 0.</param>
    /// <param name="ranks">n; 1 where the vocabulary is not shared.</param>
    /// <param name="limits">The largest step.</param>
    public static IReadOnlyList<WorkspaceBuffer> For(int vocabulary, int ownTokens, int ranks, StepLimits limits)
    {
        var sequences = limits.MaxSequences;
        List<WorkspaceBuffer> buffers =
        [
            new(Summary, sequences, SummaryWords, DType.I32),
            new(Settings, sequences, SettingsWords, DType.I32),
            new(Counts, sequences, ownTokens, DType.I32),
            new(Slots, 1, sequences, DType.I32),
            new(Positions, 1, sequences, DType.I32),
            new(Tokens, 1, sequences, DType.I32),
            new(LastTokens, 1, sequences, DType.I32),
            new(Picked, 1, sequences, DType.F32),
            new(Ids, 1, limits.MaxStepTokens, DType.I32),
            new(OwnRow, 1, ownTokens, DType.F32),
        ];
        if (ranks > 1)
        {
            buffers.Add(new(Summaries, sequences, checked(ranks * SummaryWords), DType.I32));
            buffers.Add(new(WholeRow, 1, vocabulary, DType.F32));
        }

        return buffers;
    }
}
