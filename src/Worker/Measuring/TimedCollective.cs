using TensorParallel.Worker.Collectives;
using TensorParallel.Worker.Devices;

namespace TensorParallel.Worker.Measuring;

/// <summary>A group's calls, each timed; waits for peers count. Owns nothing: what it stands before stays the caller's.</summary>
internal sealed class TimedCollective(ICollective inner, OperationTimes times) : ICollective
{
    public string Name => inner.Name;

    public int Rank => inner.Rank;

    public int Size => inner.Size;

    public IReadOnlyList<CollectiveTiming> Timings => inner.Timings;

    public void AllReduceSum(Tensor x)
    {
        using var timing = times.Time("all_reduce");
        inner.AllReduceSum(x);
    }

    public bool TryAllReduceAddRmsNorm(Tensor delta, Tensor residual, Tensor weight, float epsilon, Tensor normed)
    {
        using var timing = times.Time("all_reduce_norm");
        return inner.TryAllReduceAddRmsNorm(delta, residual, weight, epsilon, normed);
    }

    public bool TryDividedAllReduceAddRmsNorm(Tensor delta, Tensor residual, Tensor weight, float epsilon, Tensor normed)
    {
        using var timing = times.Time("all_reduce_norm");
        return inner.TryDividedAllReduceAddRmsNorm(delta, residual, weight, epsilon, normed);
    }

    public void CompleteRows(Tensor residual)
    {
        using var timing = times.Time("broadcast");
        inner.CompleteRows(residual);
    }

    public void AllGatherColumns(Tensor part, Tensor whole, IReadOnlyList<int> columns)
    {
        using var timing = times.Time("all_gather");
        inner.AllGatherColumns(part, whole, columns);
    }

    public void Broadcast(Tensor x, int root)
    {
        using var timing = times.Time("broadcast");
        inner.Broadcast(x, root);
    }

    public void Send(Tensor x, int peer)
    {
        using var timing = times.Time("send");
        inner.Send(x, peer);
    }

    public void Receive(Tensor x, int peer)
    {
        using var timing = times.Time("receive");
        inner.Receive(x, peer);
    }

    public void Post(Tensor x, int peer)
    {
        using var timing = times.Time("send");
        inner.Post(x, peer);
    }

    public void Take(Tensor x, int peer)
    {
        using var timing = times.Time("receive");
        inner.Take(x, peer);
    }

    public void Barrier() => inner.Barrier();

    public void Replayed() => inner.Replayed();

    public void ThrowIfFailed() => inner.ThrowIfFailed();

    public void Dispose()
    {
    }
}
