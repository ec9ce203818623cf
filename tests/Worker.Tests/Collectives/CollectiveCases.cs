using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Worker.Collectives;
using Xunit;

namespace TensorParallel.Worker.Tests.Collectives;

/// <summary>What every collective backend must do, whatever devices it joins.</summary>
/// <param name="run">Joins a group of ranks as threads and runs a body on each; gives what each returned.</param>
/// <param name="size">Ranks.</param>
/// <param name="onHost">The devices' memory is the host's: only F32 is summed there, in rank order.</param>
internal sealed class CollectiveCases(CollectiveCases.RunRanks run, int size, bool onHost)
{
    internal delegate string[] RunRanks(int size, long maxMessageBytes, Func<ICollective, DeviceTensors, string> body);

    public void RandomMixedCalls() => Script(100, 40_000, 10_000, 1000 / size);

    public void TensorsLargerThanAnnounced() => Script(200, 512, 20_000, 20);

    public void TensorsOfMegabytes() => Script(300, 4 << 20, 1 << 19, 3);

    public void EmptyTensors() => run(size, 0, (collective, device) =>
    {
        var empty = device.Tensor(DType.F32, 0, 7);
        collective.AllReduceSum(empty);
        collective.Broadcast(empty, size - 1);
        collective.AllGatherColumns(device.Tensor(DType.F32, 3, 0), device.Tensor(DType.F32, 3, 0), new int[size]);
        collective.Barrier();
        return string.Empty;
    });

    public void ABarrierLetsNobodyPassBeforeTheLast()
    {
        var entered = new int[200];
        run(size, 64, (collective, _) =>
        {
            for (var round = 0; round < entered.Length; round++)
            {
                Interlocked.Increment(ref entered[round]);
                collective.Barrier();
                Assert.Equal(size, Volatile.Read(ref entered[round]));
            }

            return string.Empty;
        });
    }

    public void WrongArgumentsAreRefusedBeforeAnybodyWaits() => run(size, 64, (collective, device) =>
    {
        var x = device.Tensor(DType.BF16, 2, 8);
        var outside = x with { DType = DType.F32, Columns = 64, RowStride = 64 };
        Assert.Equal((collective.Rank, size), (collective.Rank, collective.Size));
        Assert.Throws<ArgumentException>(() => collective.AllReduceSum(onHost ? x : x with { DType = DType.I32, Columns = 4 }));
        Assert.Throws<ArgumentException>(() => collective.AllReduceSum(outside));
        Assert.Throws<ArgumentException>(() => collective.AllGatherColumns(x, x, new int[size]));
        Assert.Throws<ArgumentException>(() => collective.AllGatherColumns(x, x, new int[size + 1]));
        Assert.Throws<ArgumentException>(() => collective.Send(x, collective.Rank));
        Assert.Throws<ArgumentException>(() => collective.Receive(x, size));
        Assert.Throws<ArgumentOutOfRangeException>(() => collective.Broadcast(x, size));
        return string.Empty;
    });

    private void Script(int seed, long maxMessageBytes, int maxElements, int calls)
    {
        var hashes = run(
            size,
            maxMessageBytes,
            (collective, device) => new CollectiveScript(collective, device, seed + size, maxElements, onHost).Run(calls));
        Assert.Single(hashes.Distinct());
    }
}
