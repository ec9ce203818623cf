using System.Runtime.InteropServices;

namespace TensorParallel.Worker.Ops;

/// <summary>
/// What one rank tells the others about one row, in 4-byte words (integers, or the bits of floats):
/// <code>
/// 0        1 where a logit is NaN or +infinity, else 0
/// 1        id of the largest logit/temperature + noise, −1: none         2, 3    its score, a double
///          (of a row with filters: only where IsWhole, of the tokens that they keep, and with score 0)
/// 4, 5     Σ exp((x − m) / temperature), a double; m the first candidate's value, x after penalties
/// 6        largest raw logit                                              7, 8    Σ exp(raw − largest), a double
/// 9 …      values of the best candidates, then their ids                  Candidates each
///    …      values of the best raw logits, then their ids                  LogProbs each
/// </code>
/// Candidates stand best first (larger value, then lower id); where a rank has fewer tokens, value −infinity and id −1
/// follow. Words that a row's settings do not need are undefined.
/// </summary>
/// <param name="Candidates">C: candidates after penalties.</param>
/// <param name="LogProbs">K: best raw logits.</param>
/// <param name="IsWhole">
/// Nobody shares the vocabulary. Then <see cref="ISamplingOps.Summarise"/> decides rows with filters itself, from all
/// logits, and names no candidates for them.
/// </param>
internal readonly record struct SummaryLayout(int Candidates, int LogProbs, bool IsWhole = false)
{
    internal const int NotFinite = 0;
    internal const int DrawnId = 1;
    internal const int DrawnScore = 2;
    internal const int Sum = 4;
    internal const int RawMaximum = 6;
    internal const int RawSum = 7;
    internal const int Values = 9;

    /// <summary>First candidate id.</summary>
    internal int Ids => Values + Candidates;

    /// <summary>First raw value.</summary>
    internal int RawValues => Ids + Candidates;

    /// <summary>First id of a raw value.</summary>
    internal int RawIds => RawValues + LogProbs;

    /// <summary>Words of one row, W.</summary>
    internal int Words => RawIds + LogProbs;

    /// <summary>Floats at a word.</summary>
    internal static Span<float> Floats(Span<int> summary, int word, int count) =>
        MemoryMarshal.Cast<int, float>(summary.Slice(word, count));

    /// <summary>Reads a double from two words.</summary>
    internal static double ReadDouble(ReadOnlySpan<int> summary, int word) =>
        MemoryMarshal.Read<double>(MemoryMarshal.AsBytes(summary[word..]));

    /// <summary>Writes a double into two words.</summary>
    internal static void WriteDouble(Span<int> summary, int word, double value) =>
        MemoryMarshal.Write(MemoryMarshal.AsBytes(summary[word..]), value);
}
