using TensorParallel.Worker.Collectives;
using TensorParallel.Worker.Devices;

namespace TensorParallel.Worker.Tests.Execution;

/// <summary>A group that does nothing but tell of messages.</summary>
internal sealed class PostedTokens(int rank, int size, Action posted, Action taken) : ICollective
{
    public string Name => "told";

    public int Rank => rank;

    public int Size => size;

    public void Post(Tensor x, int peer) => posted();

    public void Take(Tensor x, int peer) => taken();

    public void AllReduceSum(Tensor x) => throw new NotSupportedException();

    public void AllGatherColumns(Tensor part, Tensor whole, IReadOnlyList<int> columns) => throw new NotSupportedException();

    public void Broadcast(Tensor x, int root) => throw new NotSupportedException();

    public void Send(Tensor x, int peer) => throw new NotSupportedException();

    public void Receive(Tensor x, int peer) => throw new NotSupportedException();

    public void Barrier() => throw new NotSupportedException();

    public void Dispose()
    {
    }
}
