using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Protocol.Parallel;
using TensorParallel.Worker.Devices;

namespace TensorParallel.Worker.Collectives;

/// <summary>
/// The group of one rank: sums and broadcasts are already there, a gather is a copy. Needs no shared memory, and nobody
/// waits.
/// </summary>
internal sealed class SingleRankCollective(IDevice device) : ICollective
{
    public string Name => "single-rank";

    public int Rank => 0;

    public int Size => 1;

    public void AllReduceSum(Tensor x) =>
        GroupCalls.CheckSummable(x, takesHalf: DeviceKinds.Of(device.Name) != DeviceKinds.Cpu);

    public void AllGatherColumns(Tensor part, Tensor whole, IReadOnlyList<int> columns)
    {
        GroupCalls.CheckGather(part, whole, columns, 0, 1);
        if (part.Address == whole.Address && part.RowStride == whole.RowStride)
        {
            return;
        }

        for (var r = 0; r < part.Rows; r++)
        {
            var (source, target) = (part.RowsAt(r, 1), whole.RowsAt(r, 1));
            device.Copy(
                source.Buffer, source.OffsetBytes, target.Buffer, target.OffsetBytes,
                (long)part.Columns * part.DType.SizeInBytes());
        }
    }

    public void Broadcast(Tensor x, int root)
    {
        GroupCalls.CheckPeer(root, 1, nameof(root));
        GroupCalls.CheckBounds(x, nameof(x));
    }

    public void Send(Tensor x, int peer) => throw GroupCalls.NoSuchPeer(peer, 1);

    public void Receive(Tensor x, int peer) => throw GroupCalls.NoSuchPeer(peer, 1);

    public void Barrier()
    {
    }

    public void Dispose()
    {
    }
}
