using System.Runtime.InteropServices;
using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Worker.Collectives;
using TensorParallel.Worker.Collectives.Nccl;
using TensorParallel.Worker.Devices;
using TensorParallel.Worker.Tests.Collectives;
using Xunit;

namespace TensorParallel.Worker.Gpu.Tests.Collectives;

/// <summary>NCCL's calls inside graphs: their results, and what becomes of a peer that does not come.</summary>
public sealed class NcclGraphTests
{
    private const int Rows = 3;
    private const int Columns = 40;

    [Theory]
    [InlineData(2)]
    [InlineData(4)]
    public void Replayed_calls_do_what_issued_ones_do(int size)
    {
        Gpu.Need(size);
        var failures = Run(size, RankThreads.Timeout, (collective, device) =>
        {
            var (x, part, whole) = (Tensor(device, Rows, Columns), Tensor(device, Rows, 8), Tensor(device, Rows, 8 * size));
            int[] columns = [.. Enumerable.Repeat(8, size)];
            using var work = device.RepeatWork();
            for (var round = 1; round <= 5; round++)
            {
                Fill(device, x, (collective.Rank + 1) * round);
                Fill(device, part, (collective.Rank * 100) + round);
                var replayed = work.Run("step", () =>
                {
                    collective.AllReduceSum(x);
                    collective.AllGatherColumns(part, whole, columns);
                    collective.Broadcast(x, size - 1);
                });
                Assert.Equal(round > 1, replayed);
                if (replayed)
                {
                    collective.Replayed();
                }

                // Between replays plain calls come, larger than any before: what the graph uses must stay.
                var large = Tensor(device, Rows, 1000 * round * size);
                collective.AllGatherColumns(
                    Tensor(device, Rows, 1000 * round), large, [.. Enumerable.Repeat(1000 * round, size)]);
                Assert.All(Read(device, x), v => Assert.Equal(round * size * (size + 1) / 2, v));
                var gathered = Read(device, whole);
                for (var i = 0; i < gathered.Length; i++)
                {
                    Assert.Equal((i % (8 * size) / 8 * 100) + round, gathered[i]);
                }
            }

            collective.ThrowIfFailed();
        });
        Assert.All(failures, Assert.Null);
    }

    [Fact]
    public void A_peer_that_is_lost_in_a_replayed_step_ends_the_wait_with_an_error()
    {
        Gpu.Need(2);
        using var present = new ManualResetEventSlim();
        var failures = Run(2, TimeSpan.FromSeconds(3), (collective, device) =>
        {
            var x = Tensor(device, Rows, Columns);
            Fill(device, x, 1);
            using var work = device.RepeatWork();
            for (var round = 0; round < 3; round++)
            {
                Step(collective, work, x);
            }

            device.Synchronize();
            if (collective.Rank == 1)
            {
                Assert.True(present.Wait(RankThreads.Timeout));
                return;
            }

            try
            {
                Step(collective, work, x);
                var outcome = device.CopyToHostLater(x.Buffer, x.OffsetBytes, sizeof(float));
                Step(collective, work, x); // one ahead
                Assert.False(outcome.IsDone);
                outcome.Wait();
                collective.ThrowIfFailed();
            }
            finally
            {
                present.Set();
            }
        });
        Assert.Null(failures[1]);
        var error = Assert.IsType<CollectiveException>(failures[0]);
        Assert.Matches(@"^Rank 0 of 2 waited \d+\.\d s for its peers in a replayed step, call \d+\.$", error.Message);
    }

    private static void Step(ICollective collective, IRepeatedWork work, Tensor x)
    {
        if (work.Run("step", () => collective.AllReduceSum(x)))
        {
            collective.Replayed();
        }
    }

    private static Tensor Tensor(IDevice device, int rows, int columns) =>
        device.AllocateTensor(DType.F32, rows, columns, MemoryPurpose.Workspace);

    private static void Fill(IDevice device, Tensor x, float value)
    {
        var values = new float[x.Rows * x.Columns];
        Array.Fill(values, value);
        device.CopyToDevice(MemoryMarshal.AsBytes(values.AsSpan()), x.Buffer, x.OffsetBytes);
    }

    private static float[] Read(IDevice device, Tensor x)
    {
        var values = new float[x.Rows * x.Columns];
        device.CopyToHost(x.Buffer, x.OffsetBytes, MemoryMarshal.AsBytes(values.AsSpan()));
        return values;
    }

    private static Exception?[] Run(int size, TimeSpan timeout, Action<ICollective, IDevice> body)
    {
        var blob = new NcclBackend().CreateBootstrap(size, 0);
        return RankThreads.Each(size, rank =>
        {
            using IDevice device = new CudaDevice(rank) { RecordsGraphs = true };
            using var collective = new NcclBackend().Join(blob, rank, size, device, timeout);
            body(collective, device);
        });
    }
}
