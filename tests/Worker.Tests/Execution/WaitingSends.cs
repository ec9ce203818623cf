using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Worker.Collectives;
using TensorParallel.Worker.Devices;

namespace TensorParallel.Worker.Tests.Execution;

/// <summary>A group whose sends return only when the receiver has what was sent: the most that a backend may let a sender wait.</summary>
internal sealed class WaitingSends(ICollective inner, IDevice device) : ICollective
{
    private readonly Tensor _word = device.AllocateTensor(DType.I32, 1, 1, MemoryPurpose.Workspace);

    public string Name => inner.Name;

    public int Rank => inner.Rank;

    public int Size => inner.Size;

    public void AllReduceSum(Tensor x) => inner.AllReduceSum(x);

    public void AllGatherColumns(Tensor part, Tensor whole, IReadOnlyList<int> columns) => inner.AllGatherColumns(part, whole, columns);

    public void Broadcast(Tensor x, int root) => inner.Broadcast(x, root);

    public void Send(Tensor x, int peer)
    {
        inner.Send(x, peer);
        inner.Receive(_word, peer);
    }

    public void Receive(Tensor x, int peer)
    {
        inner.Receive(x, peer);
        inner.Send(_word, peer);
    }

    public void Post(Tensor x, int peer) => inner.Post(x, peer);

    public void Take(Tensor x, int peer) => inner.Take(x, peer);

    public void Barrier() => inner.Barrier();

    public void ThrowIfFailed() => inner.ThrowIfFailed();

    public void Dispose() => _word.Buffer.Dispose();
}
