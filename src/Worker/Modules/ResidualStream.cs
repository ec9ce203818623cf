using TensorParallel.Worker.Devices;

namespace TensorParallel.Worker.Modules;

/// <summary>
/// Brings Delta into the residual stream on the way into the norm that reads it: sum over the ranks, addition and norm, which a
/// group that can does in one, for many rows by dividing them over the ranks: then hidden is whole again only when a reader needs it.
/// One object follows the same rows through a rank's whole model, so that it knows. Where a step's rows are divided into parts, each part
/// has one, and what one part waits for is summed beside what the other computes.
/// </summary>
/// <param name="context">Operations and peers.</param>
/// <param name="beside">Where sums over ranks go; null: they are made in the device's own order.</param>
/// <param name="part">Number of the part there.</param>
internal sealed class ResidualStream(RankContext context, ISideWork? beside = null, int part = 0)
{
    // Whether each rank has but its share of hidden's rows up to date.
    private bool _isDivided;

    /// <summary>A pass begins: hidden is whole.</summary>
    public void Begin() => _isDivided = false;

    /// <summary>Delta has been written: its sum can begin beside what is issued from now on.</summary>
    public void NoteDelta() => beside?.Note(part);

    /// <summary>hidden += what is pending of delta; normed = norm of the new hidden. All [T, HiddenSize]; delta is used up.</summary>
    public void Normalize(Tensor hidden, Tensor delta, PendingDelta pending, Norm norm, Tensor normed)
    {
        if (beside is null || pending != PendingDelta.PartialSum)
        {
            NormalizeHere(hidden, delta, pending, norm, normed);
            return;
        }

        beside.Run(part, () => NormalizeHere(hidden, delta, pending, norm, normed));
        beside.Await(part);
    }

    /// <summary>hidden += what is pending of delta, for a reader that is no norm.</summary>
    public void Complete(Tensor hidden, Tensor delta, PendingDelta pending)
    {
        MakeWhole(hidden);
        if (pending == PendingDelta.None)
        {
            return;
        }

        if (pending == PendingDelta.PartialSum)
        {
            context.Collective.AllReduceSum(delta);
        }

        context.Ops.Add(hidden, delta);
    }

    private void NormalizeHere(Tensor hidden, Tensor delta, PendingDelta pending, Norm norm, Tensor normed)
    {
        if (pending == PendingDelta.PartialSum
            && context.Collective.TryDividedAllReduceAddRmsNorm(delta, hidden, norm.Weight, norm.Epsilon, normed))
        {
            _isDivided = true;
            return;
        }

        MakeWhole(hidden);
        if (pending == PendingDelta.None)
        {
            context.Ops.RmsNorm(hidden, norm.Weight, norm.Epsilon, normed);
            return;
        }

        if (pending == PendingDelta.PartialSum)
        {
            if (context.Collective.TryAllReduceAddRmsNorm(delta, hidden, norm.Weight, norm.Epsilon, normed))
            {
                return;
            }

            context.Collective.AllReduceSum(delta);
        }

        context.Ops.AddRmsNorm(hidden, delta, norm.Weight, norm.Epsilon, normed);
    }

    private void MakeWhole(Tensor hidden)
    {
        if (_isDivided)
        {
            context.Collective.CompleteRows(hidden);
            _isDivided = false;
        }
    }
}
