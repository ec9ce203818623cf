using TensorParallel.Protocol.Parallel;
using TensorParallel.Worker.Devices;

namespace TensorParallel.Worker.Ops;

/// <summary>
/// The device's part of sampling over a vocabulary that is cut over ranks. L rows; V tokens in all, Vr of them on this
/// rank, <c>firstToken</c> the id of its first. Vr may be 0. Each operation but <see cref="ChooseFromAll"/> works on
/// all rows at once and needs nothing from the host, so that a step can be captured.
/// <para>
/// A logit "after penalties" is x, divided by the repetition penalty (multiplied, where x is below 0) if the sequence
/// holds the token, minus the presence penalty if it was generated, minus the frequency penalty for each time;
/// −infinity for a banned end-of-sequence id.
/// </para>
/// <para>
/// Rows with slot −1 are there to fill up a step whose size is fixed: <see cref="Summarise"/> leaves their summaries
/// undefined, <see cref="Choose"/> writes 0 without looking at them, <see cref="Commit"/> remembers nothing.
/// </para>
/// </summary>
internal interface ISamplingOps
{
    /// <summary>Outcome of <see cref="Choose"/>: a logit is NaN or +infinity.</summary>
    const int NotFinite = -1;

    /// <summary>Outcome of <see cref="Choose"/>: every token is banned or has the logit −infinity.</summary>
    const int NothingLeft = -2;

    /// <summary>
    /// Outcome of <see cref="Choose"/>: the summaries cannot tell which tokens the filters keep. Never where one rank has
    /// the whole vocabulary and the layout says so.
    /// </summary>
    const int Unproven = -3;

    /// <summary>
    /// Bit of a count that says: the token is in the prompt. The bits below count how often it was generated.
    /// </summary>
    const int InPrompt = 1 << 30;

    /// <summary>
    /// Whether every operation but <see cref="Adjust"/> and <see cref="ChooseFromAll"/> leaves the host out, so that it can be recorded.
    /// </summary>
    bool IsRecordable => true;

    /// <summary>
    /// Adds tokens to a sequence's counts. Ids outside [firstToken, firstToken + counts.Columns) belong to other ranks.
    /// counts: I32 [1, Vr]; ids: I32 [1, N].
    /// </summary>
    void CountTokens(Tensor counts, Tensor ids, int firstToken, bool generated);

    /// <summary>
    /// Describes each row's local logits as its slot's settings need it. logits: F32 [L, Vr], not changed; summary: I32
    /// [L, W], laid out by <paramref name="layout"/>.
    /// </summary>
    void Summarise(Tensor logits, int firstToken, SamplingRows rows, SummaryLayout layout, Tensor summary);

    /// <summary>
    /// Draws each row's token from the summaries of all ranks. summaries: I32 [L, ranks · W], rank after rank;
    /// outcomes: I32 [1, L], token ids or one of the negative constants. Looks at nothing else, so every rank gets the
    /// same.
    /// </summary>
    /// <param name="summaries">The gathered summaries.</param>
    /// <param name="parts">The vocabulary of each rank.</param>
    /// <param name="rows">The rows; <see cref="SamplingRows.Counts"/> is not used.</param>
    /// <param name="layout">Layout of one rank's summary.</param>
    /// <param name="outcomes">Receives the outcomes.</param>
    void Choose(
        Tensor summaries, IReadOnlyList<IndexRange> parts, SamplingRows rows, SummaryLayout layout, Tensor outcomes);

    /// <summary>Writes one row's local logits after penalties. logits: F32 [L, Vr]; output: F32 [1, Vr].</summary>
    void Adjust(Tensor logits, int firstToken, SamplingRows rows, int row, Tensor output);

    /// <summary>
    /// Draws one row's token from all its logits after penalties, and writes its outcome. all: F32 [1, V]; outcomes:
    /// I32 [1, L].
    /// </summary>
    void ChooseFromAll(Tensor all, SamplingRows rows, int row, Tensor outcomes);

    /// <summary>
    /// Raw logits of the drawn tokens that this rank owns, 0 for the others: their sum over ranks is each token's
    /// logit. logits: F32 [L, Vr]; tokens: I32 [1, L]; output: F32 [1, L].
    /// </summary>
    void PickLogits(Tensor logits, int firstToken, Tensor tokens, Tensor output);

    /// <summary>
    /// Remembers the drawn tokens: <c>lastTokens[slot] = token</c>, and one more in the slot's counts where its settings
    /// have penalties. A negative token (an outcome that is none) changes nothing. tokens: I32 [1, L]; lastTokens: I32
    /// [1, MaxSequences].
    /// </summary>
    void Commit(Tensor tokens, int firstToken, SamplingRows rows, Tensor lastTokens);

    /// <summary>
    /// Sets aside what drawing needs for itself, before the first draw: of at most <paramref name="rows"/> rows of
    /// <paramref name="tokens"/> logits. Without it such memory grows as it is needed.
    /// </summary>
    void Reserve(int rows, int tokens)
    {
    }
}
