using System.Numerics.Tensors;
using TensorParallel.Protocol.Parallel;
using Tensor = TensorParallel.Worker.Devices.Tensor;

namespace TensorParallel.Worker.Ops.Cpu;

/// <content>What one rank tells the others.</content>
internal sealed unsafe partial class CpuSamplingOps
{
    public void Summarise(Tensor logits, int firstToken, SamplingRows rows, SummaryLayout layout, Tensor summary)
    {
        CheckShape(logits, rows.Count, logits.Columns);
        CheckShape(summary, rows.Count, layout.Words);
        for (var row = 0; row < rows.Count; row++)
        {
            if (IsPadding(rows, row))
            {
                continue;
            }

            ref readonly var settings = ref Settings(rows, row);
            var target = Ints(summary, row);
            target.Clear();
            var raw = Floats(logits, row);
            if (!raw.IsEmpty && !(TensorPrimitives.Max<float>(raw) < float.PositiveInfinity))
            {
                target[SummaryLayout.NotFinite] = 1;
                continue;
            }

            SummariseRaw(raw, firstToken, layout, settings, target);
            var adjusted = Adjusted(logits, firstToken, rows, row, settings);
            var position = Ints(rows.Positions, 0)[row];
            SummariseAdjusted(adjusted, firstToken, position, layout, settings, target);
            if (layout.IsWhole && !settings.IsGreedy && settings.HasFilters)
            {
                DecideAlone(adjusted, firstToken, position, layout, settings, target);
            }
        }
    }

    /// <summary>Replaces a summary's candidates by the decision, which they prove or else all logits make.</summary>
    private void DecideAlone(
        ReadOnlySpan<float> logits,
        int firstToken,
        int position,
        SummaryLayout layout,
        in SlotSettings settings,
        Span<int> target)
    {
        IndexRange[] parts = [new(firstToken, firstToken + logits.Length)];
        var token = DrawFromCandidates(target, parts, layout, position, settings);
        target[SummaryLayout.DrawnId] = token switch
        {
            ISamplingOps.NothingLeft => -1,
            ISamplingOps.Unproven => DrawFromAll(logits, position, settings),
            _ => token,
        };
    }

    private static void SummariseRaw(
        ReadOnlySpan<float> raw, int firstToken, SummaryLayout layout, in SlotSettings settings, Span<int> target)
    {
        if (settings.LogProbs == 0)
        {
            return;
        }

        var values = SummaryLayout.Floats(target, layout.RawValues, layout.LogProbs);
        TopCandidates.Select(raw, firstToken, values, target.Slice(layout.RawIds, layout.LogProbs));
        SummaryLayout.Floats(target, SummaryLayout.RawMaximum, 1)[0] = values[0];
        var sum = float.IsNegativeInfinity(values[0]) ? 0 : SumOfExponentials(raw, values[0], 1);
        SummaryLayout.WriteDouble(target, SummaryLayout.RawSum, sum);
    }

    private static void SummariseAdjusted(
        ReadOnlySpan<float> logits,
        int firstToken,
        int position,
        SummaryLayout layout,
        in SlotSettings settings,
        Span<int> target)
    {
        if (!settings.IsGreedy && !settings.HasFilters)
        {
            (target[SummaryLayout.DrawnId], var score) = GumbelNoise.Best(logits, firstToken, position, settings);
            SummaryLayout.WriteDouble(target, SummaryLayout.DrawnScore, score);
            return;
        }

        // The others of a greedy row's candidates are only there because another row needs the room.
        var count = settings.IsGreedy ? 1 : layout.Candidates;
        var values = SummaryLayout.Floats(target, SummaryLayout.Values, count);
        TopCandidates.Select(logits, firstToken, values, target.Slice(layout.Ids, count));
        if (!settings.IsGreedy && settings.TopP < 1 && !float.IsNegativeInfinity(values[0]))
        {
            SummaryLayout.WriteDouble(
                target, SummaryLayout.Sum, SumOfExponentials(logits, values[0], settings.Temperature));
        }
    }

    private static void CheckShape(Tensor tensor, int rows, int columns)
    {
        if (tensor.Rows != rows || tensor.Columns != columns)
        {
            throw new ArgumentException(
                $"Sampling needs [{rows}, {columns}] here, not [{tensor.Rows}, {tensor.Columns}].", nameof(tensor));
        }
    }
}
