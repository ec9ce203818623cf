using TensorParallel.Protocol.Generation;
using TensorParallel.Worker.Ops;

namespace TensorParallel.Worker.Sampling;

/// <summary>
/// Log-probabilities under the model's own distribution, from the raw parts of the ranks' summaries: x − m − ln Σᵣ sumᵣ
/// · exp(mᵣ − m), m the largest of the ranks' maxima mᵣ.
/// </summary>
internal static class LogProbabilities
{
    /// <summary>Reports a drawn token.</summary>
    /// <param name="summaries">One row's summaries, rank after rank.</param>
    /// <param name="layout">Layout of one summary.</param>
    /// <param name="asked">Number of best tokens to report.</param>
    /// <param name="slot">The row's slot.</param>
    /// <param name="token">The token drawn.</param>
    /// <param name="logit">Its raw logit.</param>
    public static SampledToken Of(
        Span<int> summaries, SummaryLayout layout, int asked, int slot, int token, float logit)
    {
        var maximum = float.NegativeInfinity;
        var best = new List<(float Value, int Id)>();
        for (var at = 0; at < summaries.Length; at += layout.Words)
        {
            var own = summaries.Slice(at, layout.Words);
            maximum = Math.Max(maximum, SummaryLayout.Floats(own, SummaryLayout.RawMaximum, 1)[0]);
            var values = SummaryLayout.Floats(own, layout.RawValues, layout.LogProbs);
            for (var i = 0; i < values.Length && own[layout.RawIds + i] >= 0; i++)
            {
                best.Add((values[i], own[layout.RawIds + i]));
            }
        }

        double sum = 0;
        for (var at = 0; at < summaries.Length; at += layout.Words)
        {
            var own = summaries.Slice(at, layout.Words);
            var shift = (double)SummaryLayout.Floats(own, SummaryLayout.RawMaximum, 1)[0] - maximum;
            sum += SummaryLayout.ReadDouble(own, SummaryLayout.RawSum) * Math.Exp(shift);
        }

        var logSum = maximum + Math.Log(sum);
        best.Sort((a, b) => a.Value != b.Value ? b.Value.CompareTo(a.Value) : a.Id.CompareTo(b.Id));
        var top = best.Take(asked).Select(c => new TokenLogProb(c.Id, (float)(c.Value - logSum)));
        return new SampledToken(slot, token, (float)(logit - logSum), [.. top]);
    }
}
