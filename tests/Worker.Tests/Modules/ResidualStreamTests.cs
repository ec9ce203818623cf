using System.Runtime.InteropServices;
using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Worker.Collectives;
using TensorParallel.Worker.Devices;
using TensorParallel.Worker.Modules;
using TensorParallel.Worker.Tests.Execution;
using Xunit;

namespace TensorParallel.Worker.Tests.Modules;

/// <summary>Every kind of pending delta, by a group that fuses nothing and by one that does.</summary>
public class ResidualStreamTests
{
    private const int Hidden = 24;

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void What_is_pending_is_added_once(bool fuses)
    {
        GroupRun.OnEachRank(3, (plain, device) =>
        {
            var fusing = new FusingCollective(plain.Collective, plain);
            var context = fuses ? plain with { Collective = fusing } : plain;
            var stream = new ResidualStream(context);
            foreach (var (pending, expected) in ((PendingDelta, float)[])
                [(PendingDelta.None, 10), (PendingDelta.Whole, 11 + plain.Rank), (PendingDelta.PartialSum, 16)])
            {
                var (hidden, delta, normed) = (Filled(device, 10), Filled(device, 1 + plain.Rank), Filled(device, float.NaN));
                stream.Normalize(hidden, delta, pending, new Norm(Filled(device, 2).RowsAt(0, 1), 0), normed);
                Assert.All(Values(device, hidden), v => Assert.Equal(expected, v));
                Assert.All(Values(device, normed), v => Assert.Equal(2f, v, 1e-6f)); // equal numbers have their own root mean square

                (hidden, delta) = (Filled(device, 10), Filled(device, 1 + plain.Rank));
                stream.Complete(hidden, delta, pending);
                Assert.All(Values(device, hidden), v => Assert.Equal(expected, v));
            }

            Assert.Equal(fuses ? 1 : 0, fusing.FusedCalls);
        });
    }

    [Fact]
    public void Divided_rows_are_completed_before_anything_else_reads_them() => GroupRun.OnEachRank(3, (plain, device) =>
    {
        var dividing = new DividingCollective(plain.Collective, plain);
        var stream = new ResidualStream(plain with { Collective = dividing });
        var norm = new Norm(Filled(device, 2).RowsAt(0, 1), 0);
        foreach (var pending in (PendingDelta[])[PendingDelta.Whole, PendingDelta.None, PendingDelta.PartialSum])
        {
            foreach (var isNorm in (bool[])[true, false])
            {
                stream.Begin();
                var (hidden, normed) = (Filled(device, 10), Filled(device, float.NaN));
                dividing.Divides = true;
                stream.Normalize(hidden, Filled(device, 1 + plain.Rank), PendingDelta.PartialSum, norm, normed);
                stream.Normalize(hidden, Filled(device, 1 + plain.Rank), PendingDelta.PartialSum, norm, normed);
                Assert.All(Values(device, normed), v => Assert.Equal(2f, v, 1e-6f));
                Assert.Contains(Values(device, hidden), float.IsNaN);

                dividing.Divides = false;
                var delta = Filled(device, 1 + plain.Rank);
                if (isNorm)
                {
                    stream.Normalize(hidden, delta, pending, norm, normed);
                }
                else
                {
                    stream.Complete(hidden, delta, pending);
                }

                var added = pending == PendingDelta.None ? 0 : pending == PendingDelta.Whole ? 1 + plain.Rank : 6;
                Assert.All(Values(device, hidden), v => Assert.Equal(22 + added, v));
            }
        }

        Assert.Equal(6, dividing.Completed);
    });

    private static Tensor Filled(IDevice device, float value)
    {
        var tensor = device.AllocateTensor(DType.F32, 2, Hidden, MemoryPurpose.Workspace);
        device.CopyToDevice(MemoryMarshal.AsBytes<float>(Enumerable.Repeat(value, 2 * Hidden).ToArray()), tensor.Buffer, 0);
        return tensor;
    }

    private static float[] Values(IDevice device, Tensor tensor)
    {
        var values = new float[2 * Hidden];
        device.CopyToHost(tensor.Buffer, 0, MemoryMarshal.AsBytes(values.AsSpan()));
        return values;
    }

    // Rank 0 has row 0, the last rank row 1; what is not a rank's own turns into NaN.
    private sealed class DividingCollective(ICollective inner, RankContext context) : FusingCollective(inner, context), ICollective
    {
        private readonly RankContext _context = context;

        public bool Divides { get; set; }

        public int Completed { get; private set; }

        bool ICollective.TryAllReduceAddRmsNorm(Tensor delta, Tensor residual, Tensor weight, float epsilon, Tensor normed) => false;

        public bool TryDividedAllReduceAddRmsNorm(Tensor delta, Tensor residual, Tensor weight, float epsilon, Tensor normed)
        {
            if (!Divides)
            {
                return false;
            }

            AllReduceSum(delta);
            _context.Ops.AddRmsNorm(residual, delta, weight, epsilon, normed);
            for (var row = 0; row < residual.Rows; row++)
            {
                Broadcast(normed.RowsAt(row, 1), OwnerOf(row));
                if (OwnerOf(row) != Rank)
                {
                    var view = residual.RowsAt(row, 1);
                    var nothing = Enumerable.Repeat(float.NaN, view.Columns).ToArray();
                    _context.Device.CopyToDevice(MemoryMarshal.AsBytes<float>(nothing), view.Buffer, view.OffsetBytes);
                }
            }

            return true;
        }

        public void CompleteRows(Tensor residual)
        {
            Completed++;
            for (var row = 0; row < residual.Rows; row++)
            {
                Broadcast(residual.RowsAt(row, 1), OwnerOf(row));
            }
        }

        private int OwnerOf(int row) => row == 0 ? 0 : Size - 1;
    }

    private class FusingCollective(ICollective inner, RankContext context) : ICollective
    {
        public int FusedCalls { get; private set; }

        public string Name => "fusing";

        public int Rank => inner.Rank;

        public int Size => inner.Size;

        public void AllReduceSum(Tensor x) => inner.AllReduceSum(x);

        public bool TryAllReduceAddRmsNorm(Tensor delta, Tensor residual, Tensor weight, float epsilon, Tensor normed)
        {
            FusedCalls++;
            inner.AllReduceSum(delta);
            context.Ops.AddRmsNorm(residual, delta, weight, epsilon, normed);
            return true;
        }

        public void AllGatherColumns(Tensor part, Tensor whole, IReadOnlyList<int> columns) =>
            inner.AllGatherColumns(part, whole, columns);

        public void Broadcast(Tensor x, int root) => inner.Broadcast(x, root);

        public void Send(Tensor x, int peer) => inner.Send(x, peer);

        public void Receive(Tensor x, int peer) => inner.Receive(x, peer);

        public void Barrier() => inner.Barrier();

        public void Dispose()
        {
        }
    }
}
