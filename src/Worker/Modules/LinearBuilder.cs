using TensorParallel.Protocol.Architectures;
using TensorParallel.Protocol.Parallel;
using TensorParallel.Worker.Devices;
using TensorParallel.Worker.Quantization;

namespace TensorParallel.Worker.Modules;

/// <summary>
/// Makes linear layers as the plan cuts them; which collective follows comes from the style's layouts alone.
/// </summary>
internal sealed class LinearBuilder(RankContext context, PlanSlices slices, WeightAllocator weights)
{
    /// <summary>
    /// One layer. Example: rowwise o_proj [64, 512] with columns [192, 384) on this rank: a local product of 192
    /// columns, then a sum over the ranks.
    /// </summary>
    /// <param name="linear">The layer.</param>
    /// <param name="keepsOutputCut">Leave out a gather: the reader takes each rank's columns as they are.</param>
    public ParallelLinear Build(LinearSpec linear, bool keepsOutputCut = false) => Build([linear], keepsOutputCut);

    /// <summary>Layers that read the same input; stacked into one product where the plan treats them alike.</summary>
    public FusedProjection BuildFused(params IReadOnlyList<LinearSpec> linears)
    {
        var groups = new List<List<LinearSpec>>();
        foreach (var linear in linears)
        {
            if (groups.Count > 0 && CanStack(groups[^1][0], linear))
            {
                groups[^1].Add(linear);
            }
            else
            {
                groups.Add([linear]);
            }
        }

        return new FusedProjection([.. groups.Select(g => Build(g, keepsOutputCut: false))]);
    }

    private ParallelLinear Build(List<LinearSpec> stack, bool keepsOutputCut)
    {
        var style = Style(stack[0]);
        var join = JoinOf(style);
        if (join == CollectiveKind.AllGather && keepsOutputCut)
        {
            join = CollectiveKind.None;
        }

        return new ParallelLinear(
            context,
            weights.Linear([.. stack.Select(l => new WeightPart(slices[l.WeightName], l.OutFeatures, l.InFeatures))]),
            Bias(stack, join),
            style.SplitsInput ? SplitColumns(stack[0]) : null,
            join,
            join == CollectiveKind.AllGather
                ? [.. slices.RangesOfRanks(stack[0].WeightName, stack[0].OutFeatures).Select(part => part.Length)]
                : []);
    }

    // A bias that is not cut belongs into the sum of partial outputs once: one rank adds it. All hold it, as planned.
    private Tensor? Bias(List<LinearSpec> stack, CollectiveKind join)
    {
        if (!stack[0].HasBias)
        {
            return null;
        }

        var bias = weights.Vector([.. stack.Select(l => new WeightPart(slices[l.BiasName], l.OutFeatures, 1))]);
        var adds = join != CollectiveKind.AllReduce || slices.FirstHolder(stack[0].WeightName) == context.Rank;
        return adds ? bias : null;
    }

    private IndexRange SplitColumns(LinearSpec linear)
    {
        var ranges = slices[linear.WeightName].Ranges;
        return ranges.Count == 1
            ? ranges[0]
            : throw new PlanException(
                $"\"{linear.Name}\" takes {ranges.Count} parts of its input: only one is possible.");
    }

    // What is joined afterwards is joined layer by layer, so only layers that need no collective share a product.
    private bool CanStack(LinearSpec first, LinearSpec next) =>
        JoinOf(Style(first)) == CollectiveKind.None
        && JoinOf(Style(next)) == CollectiveKind.None
        && !Style(first).SplitsInput
        && !Style(next).SplitsInput
        && first.HasBias == next.HasBias
        && first.InFeatures == next.InFeatures;

    private CollectiveKind JoinOf(TpStyle style) => context.Size == 1 ? CollectiveKind.None : style.Collective;

    private TpStyle Style(LinearSpec linear) => PlanSlices.StyleOf(slices[linear.WeightName]);
}
