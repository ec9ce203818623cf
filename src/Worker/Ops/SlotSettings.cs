using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using TensorParallel.Protocol.Generation;

namespace TensorParallel.Worker.Ops;

/// <summary>
/// How one slot's tokens are chosen, as 4-byte words that device code reads: row <c>slot</c> of
/// <see cref="SamplingRows.Settings"/>. Field order is the layout.
/// </summary>
[StructLayout(LayoutKind.Sequential, Pack = 4)]
internal struct SlotSettings
{
    /// <summary>Most end-of-sequence ids of one sequence.</summary>
    internal const int MaxEosIds = 32;

    /// <summary>Most log-probabilities of one token.</summary>
    internal const int MaxLogProbs = 20;

    internal float Temperature;
    internal int TopK;
    internal float TopP;
    internal float MinP;
    internal float RepetitionPenalty;
    internal float PresencePenalty;
    internal float FrequencyPenalty;
    internal uint SeedLow;
    internal uint SeedHigh;
    internal int LogProbs;
    internal int PromptTokens;
    internal int MinNewTokens;
    internal int EosCount;
    internal EosIdList EosIds;

    /// <summary>4-byte words of one slot.</summary>
    internal static int Words => Unsafe.SizeOf<SlotSettings>() / sizeof(int);

    /// <summary>The best token wins, without noise.</summary>
    internal readonly bool IsGreedy => Temperature == 0;

    /// <summary>Whether top-k, top-p or min-p may drop tokens.</summary>
    internal readonly bool HasFilters => TopK > 0 || TopP < 1 || MinP > 0;

    /// <summary>Whether the choice depends on the tokens so far.</summary>
    internal readonly bool HasPenalties => RepetitionPenalty != 1 || PresencePenalty != 0 || FrequencyPenalty != 0;

    /// <summary>Whether end-of-sequence ids are banned for the token at <paramref name="position"/>.</summary>
    internal readonly bool BansEos(int position) => EosCount > 0 && position - PromptTokens < MinNewTokens;

    /// <summary>The banned ids, where they are banned.</summary>
    [UnscopedRef]
    internal readonly ReadOnlySpan<int> Eos => ((ReadOnlySpan<int>)EosIds)[..EosCount];

    /// <summary>
    /// Checks and packs what the coordinator sent; throws <see cref="ArgumentException"/> naming slot and value.
    /// </summary>
    internal static SlotSettings From(int slot, SequenceStart start)
    {
        var sampling = start.Sampling;
        Check(slot, start.PromptTokens >= 1, $"a prompt of {start.PromptTokens} tokens");
        Check(
            slot,
            float.IsFinite(sampling.Temperature) && sampling.Temperature >= 0,
            $"temperature {sampling.Temperature}");
        Check(slot, sampling.TopK >= 0, $"top_k {sampling.TopK}");
        Check(slot, sampling.TopP is > 0 and <= 1, $"top_p {sampling.TopP}");
        Check(slot, sampling.MinP is >= 0 and < 1, $"min_p {sampling.MinP}");
        Check(
            slot,
            float.IsFinite(sampling.RepetitionPenalty) && sampling.RepetitionPenalty > 0,
            $"repetition_penalty {sampling.RepetitionPenalty}");
        Check(slot, float.IsFinite(sampling.PresencePenalty), $"presence_penalty {sampling.PresencePenalty}");
        Check(slot, float.IsFinite(sampling.FrequencyPenalty), $"frequency_penalty {sampling.FrequencyPenalty}");
        Check(
            slot,
            sampling.LogProbs is >= 0 and <= MaxLogProbs,
            $"{sampling.LogProbs} log-probabilities (at most {MaxLogProbs})");
        Check(
            slot,
            sampling.EosTokenIds.Count <= MaxEosIds,
            $"{sampling.EosTokenIds.Count} end-of-sequence ids (at most {MaxEosIds})");
        var settings = new SlotSettings
        {
            Temperature = sampling.Temperature,
            TopK = sampling.TopK,
            TopP = sampling.TopP,
            MinP = sampling.MinP,
            RepetitionPenalty = sampling.RepetitionPenalty,
            PresencePenalty = sampling.PresencePenalty,
            FrequencyPenalty = sampling.FrequencyPenalty,
            SeedLow = (uint)sampling.Seed,
            SeedHigh = (uint)(sampling.Seed >> 32),
            LogProbs = sampling.LogProbs,
            PromptTokens = start.PromptTokens,
            MinNewTokens = sampling.MinNewTokens,
            EosCount = sampling.EosTokenIds.Count,
        };
        for (var i = 0; i < settings.EosCount; i++)
        {
            settings.EosIds[i] = sampling.EosTokenIds[i];
        }

        return settings;
    }

    private static void Check(int slot, bool isValid, string what)
    {
        if (!isValid)
        {
            throw new ArgumentException(
                $"The sequence for slot {slot} was sent with {what}, which cannot be sampled with.");
        }
    }

    /// <summary>Room for the ids; the first <see cref="EosCount"/> count.</summary>
    [InlineArray(MaxEosIds)]
    internal struct EosIdList
    {
        private int _first;
    }
}
