using TensorParallel.Protocol.Architectures;
using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Protocol.Parallel;
using TensorParallel.Worker.Devices;
using TensorParallel.Worker.Quantization;

namespace TensorParallel.Worker.Modules;

/// <summary>
/// This rank's part of a linear layer, or of several that read the same input, and the collective that makes the
/// ranks' outputs what the next operation expects.
/// </summary>
/// <param name="context">Operations and peers.</param>
/// <param name="weight">The stacked weight.</param>
/// <param name="bias">
/// [1, weight.OutFeatures] or null. Of partial sums one rank alone adds it, so that it is in the sum once.
/// </param>
/// <param name="inputColumns">The columns of the input this rank multiplies; null: all of them.</param>
/// <param name="join">
/// What follows the product: a sum where outputs are partial, a gather where they are columns.
/// </param>
/// <param name="gatherColumns">For a gather: the columns that each rank computes.</param>
internal sealed class ParallelLinear(
    RankContext context,
    ILinearWeight weight,
    Tensor? bias,
    IndexRange? inputColumns,
    CollectiveKind join,
    IReadOnlyList<int> gatherColumns)
{
    /// <summary>Columns of the output, after the join.</summary>
    public int OutputColumns => join == CollectiveKind.AllGather ? gatherColumns.Sum() : weight.OutFeatures;

    /// <summary>What decides how a library makes the local product.</summary>
    public (int InFeatures, int OutFeatures, bool HasBias) Product => (weight.InFeatures, weight.OutFeatures, bias is not null);

    /// <summary>The local product alone. x: [T, InFeatures]; output: [T, OutFeatures].</summary>
    public void Rehearse(Tensor x, Tensor output) => Multiply(x, output);

    /// <summary>What a product of <see cref="ForwardOpen"/> leaves to be done before its output may be read.</summary>
    public PendingDelta Leaves => join == CollectiveKind.AllReduce ? PendingDelta.PartialSum : PendingDelta.Whole;

    /// <summary>As <see cref="Forward"/>, but what is to be summed over the ranks is not yet: the reader does it.</summary>
    public void ForwardOpen(Tensor x, Tensor output, Tensor? gatherPart) => Run(x, output, gatherPart, sums: false);

    /// <summary>Whether <see cref="ForwardGated"/> can be used: the outputs need no other rank.</summary>
    public bool IsLocal => join == CollectiveKind.None;

    /// <summary>output = joined x Wᵀ + b. x: [T, full or local columns]; output: [T, OutputColumns].</summary>
    /// <param name="x">Input.</param>
    /// <param name="output">Output; may be columns of a wider tensor.</param>
    /// <param name="gatherPart">Room for weight.OutFeatures columns; not read where nothing is gathered.</param>
    public void Forward(Tensor x, Tensor output, Tensor? gatherPart) => Run(x, output, gatherPart, sums: true);

    private void Run(Tensor x, Tensor output, Tensor? gatherPart, bool sums)
    {
        var input = inputColumns is { } columns ? x.ColumnsAt(columns.Start, columns.Length) : x;
        switch (join)
        {
            case CollectiveKind.None:
                Multiply(input, output);
                break;
            case CollectiveKind.AllReduce:
                Multiply(input, output);
                if (sums)
                {
                    context.Collective.AllReduceSum(output);
                }

                break;
            case CollectiveKind.AllGather:
                var part = (gatherPart ?? throw new ArgumentNullException(nameof(gatherPart)))
                    .ColumnsAt(0, weight.OutFeatures);
                Multiply(input, part);
                context.Collective.AllGatherColumns(part, output, gatherColumns);
                break;
            default:
                throw new InvalidOperationException($"There is no join {join}.");
        }
    }

    /// <summary>
    /// For local layers [gate | up]: output = act(gate) ⊙ up. fused: [T, OutputColumns], room for the product, undefined
    /// afterwards; output: [T, OutputColumns / 2], not empty.
    /// </summary>
    public void ForwardGated(Tensor x, ActivationKind activation, Tensor fused, Tensor output)
    {
        var input = inputColumns is { } columns ? x.ColumnsAt(columns.Start, columns.Length) : x;
        weight.ApplyGated(context.Ops, input, bias, activation, fused, output);
    }

    // A rank may hold nothing: 3 heads over 4 ranks. Its partial sum is zero.
    private void Multiply(Tensor input, Tensor output)
    {
        if (output.Columns == 0)
        {
            return;
        }

        if (input.Columns == 0)
        {
            Clear(output);
            return;
        }

        weight.Apply(context.Ops, input, bias, output);
    }

    private void Clear(Tensor output)
    {
        for (var row = 0; row < output.Rows; row++)
        {
            var view = output.RowsAt(row, 1);
            context.Device.Clear(view.Buffer, view.OffsetBytes, (long)view.Columns * output.DType.SizeInBytes());
        }
    }
}
