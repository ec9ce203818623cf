using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Worker.Collectives;
using TensorParallel.Worker.Devices;

namespace TensorParallel.Worker.Tests.Execution;

/// <summary>A group that says itself which steps are worth halving. What it stands before stays the caller's.</summary>
/// <param name="inner">The group.</param>
/// <param name="rows">From how many rows on; null: never.</param>
internal sealed class HalvingCollective(ICollective inner, int? rows) : ICollective
{
    public string Name => inner.Name;

    public int Rank => inner.Rank;

    public int Size => inner.Size;

    /// <summary>Sums over the ranks, in whichever way.</summary>
    public int Sums { get; private set; }

    public int? RowsToHalve(int columns, DType dtype) => rows;

    public void AllReduceSum(Tensor x)
    {
        Sums++;
        inner.AllReduceSum(x);
    }

    public bool TryAllReduceAddRmsNorm(Tensor delta, Tensor residual, Tensor weight, float epsilon, Tensor normed) =>
        Counted(inner.TryAllReduceAddRmsNorm(delta, residual, weight, epsilon, normed));

    public bool TryDividedAllReduceAddRmsNorm(Tensor delta, Tensor residual, Tensor weight, float epsilon, Tensor normed) =>
        Counted(inner.TryDividedAllReduceAddRmsNorm(delta, residual, weight, epsilon, normed));

    public void CompleteRows(Tensor residual) => inner.CompleteRows(residual);

    public void AllGatherColumns(Tensor part, Tensor whole, IReadOnlyList<int> columns) => inner.AllGatherColumns(part, whole, columns);

    public void Broadcast(Tensor x, int root) => inner.Broadcast(x, root);

    public void Send(Tensor x, int peer) => inner.Send(x, peer);

    public void Receive(Tensor x, int peer) => inner.Receive(x, peer);

    public void Barrier() => inner.Barrier();

    public void Replayed() => inner.Replayed();

    public void ThrowIfFailed() => inner.ThrowIfFailed();

    public void Dispose()
    {
    }

    private bool Counted(bool isDone)
    {
        Sums += isDone ? 1 : 0;
        return isDone;
    }
}
