using TensorParallel.Worker.Devices;

namespace TensorParallel.Worker.Modules;

/// <summary>
/// Brings Delta into the residual stream on the way into the norm that reads it: sum over the ranks, addition and norm, which a
/// group that can does in one, for many rows by dividing them over the ranks: then hidden is whole again only when a reader needs it.
/// One object serves a rank's whole model, so that it knows.
/// </summary>
/// <param name="context">Operations and peers.</param>
internal sealed class ResidualStream(RankContext context)
{
    // Whether each rank has but its share of hidden's rows up to date.
    private bool _isDivided;

    /// <summary>A pass begins: hidden is whole.</summary>
    public void Begin() => _isDivided = false;

    /// <summary>hidden += what is pending of delta; normed = norm of the new hidden. All [T, HiddenSize]; delta is used up.</summary>
    public void Normalize(Tensor hidden, Tensor delta, PendingDelta pending, Norm norm, Tensor normed)
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

    private void MakeWhole(Tensor hidden)
    {
        if (_isDivided)
        {
            context.Collective.CompleteRows(hidden);
            _isDivided = false;
        }
    }
}
