using System.Diagnostics;
using System.Numerics.Tensors;
using TensorParallel.Protocol.Parallel;
using Tensor = TensorParallel.Worker.Devices.Tensor;

namespace TensorParallel.Worker.Ops.Cpu;

/// <content>The choice from what all ranks have told: the same bytes, so the same token on every rank.</content>
internal sealed unsafe partial class CpuSamplingOps
{
    /// <summary>
    /// Bound of the relative error of a sum of exponentials in floats: arguments are rounded by |x|·2⁻²³, which
    /// weighted by exp(x) is below 2·10⁻⁶ for vocabularies of millions, and exponentials and chunk sums by some 10⁻⁶. A
    /// top-p boundary this close to p is decided on gathered logits, so that the cut of the vocabulary cannot move it.
    /// </summary>
    private const double SumError = 2e-5;

    /// <summary>
    /// Distances below the best logit, in temperatures, above which tokens are sorted; the next one where the filters
    /// need more. Sorting a whole vocabulary is the slow last resort.
    /// </summary>
    private static readonly float[] s_depths = [2, 4, 6, 9, 13, float.PositiveInfinity];

    private readonly KnownTokens _known = new();

    public void Choose(
        Tensor summaries, IReadOnlyList<IndexRange> parts, SamplingRows rows, SummaryLayout layout, Tensor outcomes)
    {
        CheckShape(summaries, rows.Count, parts.Count * layout.Words);
        for (var row = 0; row < rows.Count; row++)
        {
            if (IsPadding(rows, row))
            {
                Ints(outcomes, 0)[row] = 0;
                continue;
            }

            ref readonly var settings = ref Settings(rows, row);
            var summary = Ints(summaries, row);
            Ints(outcomes, 0)[row] =
                AnyNotFinite(summary, parts.Count, layout) ? ISamplingOps.NotFinite
                : settings.IsGreedy ? BestCandidate(summary, parts.Count, layout)
                : !settings.HasFilters || layout.IsWhole ? BestDrawn(summary, parts.Count, layout)
                : DrawFromCandidates(summary, parts, layout, Ints(rows.Positions, 0)[row], settings);
        }
    }

    public void ChooseFromAll(Tensor all, SamplingRows rows, int row, Tensor outcomes)
    {
        if (!IsPadding(rows, row))
        {
            Ints(outcomes, 0)[row] =
                DrawFromAll(Floats(all, 0), Ints(rows.Positions, 0)[row], Settings(rows, row));
        }
    }

    /// <summary>Draws from a whole vocabulary, of which at least one token is above −infinity.</summary>
    private int DrawFromAll(ReadOnlySpan<float> logits, int position, in SlotSettings settings)
    {
        var best = TensorPrimitives.Max<float>(logits);
        var total = settings.TopP < 1 ? KnownTokens.TotalWeight(logits, best, settings.Temperature) : double.NaN;
        foreach (var depth in s_depths)
        {
            var floor = best - (depth * settings.Temperature);
            _known.Clear();
            for (var id = 0; id < logits.Length; id++)
            {
                if (logits[id] > floor)
                {
                    _known.Add(logits[id], id);
                }
            }

            var token = _known.Count == 0
                ? ISamplingOps.Unproven
                : DrawFromKnown(floor, total, 0, position, settings);
            if (token != ISamplingOps.Unproven)
            {
                return token;
            }
        }

        throw new UnreachableException("All tokens are known at the last depth.");
    }

    private static bool AnyNotFinite(ReadOnlySpan<int> summary, int ranks, SummaryLayout layout)
    {
        for (var rank = 0; rank < ranks; rank++)
        {
            if (summary[(rank * layout.Words) + SummaryLayout.NotFinite] != 0)
            {
                return true;
            }
        }

        return false;
    }

    private static int BestCandidate(Span<int> summary, int ranks, SummaryLayout layout)
    {
        var best = (Value: float.NegativeInfinity, Id: ISamplingOps.NothingLeft);
        for (var rank = 0; rank < ranks; rank++)
        {
            // Ranks hold rising ids: of equal values the first rank's is the lowest id.
            var own = summary.Slice(rank * layout.Words, layout.Words);
            var value = SummaryLayout.Floats(own, SummaryLayout.Values, 1)[0];
            if (value > best.Value)
            {
                best = (value, own[layout.Ids]);
            }
        }

        return best.Id;
    }

    private static int BestDrawn(ReadOnlySpan<int> summary, int ranks, SummaryLayout layout)
    {
        var best = (Score: double.NegativeInfinity, Id: ISamplingOps.NothingLeft);
        for (var rank = 0; rank < ranks; rank++)
        {
            var own = summary.Slice(rank * layout.Words, layout.Words);
            var score = SummaryLayout.ReadDouble(own, SummaryLayout.DrawnScore);
            if (own[SummaryLayout.DrawnId] >= 0 && score > best.Score)
            {
                best = (score, own[SummaryLayout.DrawnId]);
            }
        }

        return best.Id;
    }

    private int DrawFromCandidates(
        Span<int> summary,
        IReadOnlyList<IndexRange> parts,
        SummaryLayout layout,
        int position,
        in SlotSettings settings)
    {
        var floor = float.NegativeInfinity;
        var best = float.NegativeInfinity;
        for (var rank = 0; rank < parts.Count; rank++)
        {
            var values = SummaryLayout.Floats(summary, (rank * layout.Words) + SummaryLayout.Values, layout.Candidates);
            floor = parts[rank].Length > layout.Candidates ? Math.Max(floor, values[^1]) : floor;
            best = Math.Max(best, values[0]);
        }

        if (float.IsNegativeInfinity(best))
        {
            return ISamplingOps.NothingLeft;
        }

        _known.Clear();
        double total = 0;
        for (var rank = 0; rank < parts.Count; rank++)
        {
            var own = summary.Slice(rank * layout.Words, layout.Words);
            var values = SummaryLayout.Floats(own, SummaryLayout.Values, layout.Candidates);
            for (var i = 0; i < values.Length && values[i] > floor; i++)
            {
                _known.Add(values[i], own[layout.Ids + i]);
            }

            total += SummaryLayout.ReadDouble(own, SummaryLayout.Sum) * TokenFilters.Weight(values[0], best, settings);
        }

        if (!float.IsNegativeInfinity(floor))
        {
            return _known.Count == 0
                ? ISamplingOps.Unproven
                : DrawFromKnown(floor, total, SumError, position, settings);
        }

        // Every token is known: sum the weights as they are summed over gathered logits.
        total = settings.TopP < 1 ? _known.TotalWeightOfAll(best, settings.Temperature) : double.NaN;
        return DrawFromKnown(floor, total, 0, position, settings);
    }

    /// <summary>Filters the known tokens, of which there is at least one, and draws one that is kept.</summary>
    private int DrawFromKnown(float floor, double total, double totalError, int position, in SlotSettings settings)
    {
        _known.SortBestFirst();
        var values = _known.Values;
        var kept = TokenFilters.Kept(values, floor, total, totalError, settings);
        if (kept == TokenFilters.Unproven)
        {
            return ISamplingOps.Unproven;
        }

        var best = (Score: double.NegativeInfinity, Id: int.MaxValue);
        for (var i = 0; i < kept; i++)
        {
            var id = _known.Id(i);
            var score = GumbelNoise.Score(values[i], id, position, settings);
            if (score > best.Score || (score == best.Score && id < best.Id))
            {
                best = (score, id);
            }
        }

        return best.Id;
    }
}
