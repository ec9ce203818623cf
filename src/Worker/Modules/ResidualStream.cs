using TensorParallel.Worker.Devices;

namespace TensorParallel.Worker.Modules;

/// <summary>
/// Brings Delta into the residual stream on the way into the norm that reads it: sum over the ranks, addition and norm, which a
/// group that can does in one.
/// </summary>
/// <param name="context">Operations and peers.</param>
internal sealed class ResidualStream(RankContext context)
{
    /// <summary>hidden += what is pending of delta; normed = norm of the new hidden. All [T, HiddenSize]; delta is used up.</summary>
    public void Normalize(Tensor hidden, Tensor delta, PendingDelta pending, Norm norm, Tensor normed)
    {
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
}
