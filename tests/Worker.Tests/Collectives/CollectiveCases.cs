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

    /// <summary>The ring of messages goes round several times; each time the sender has done with all before the receiver begins.</summary>
    public void PostsNeverWaitForTheirReceiver()
    {
        const int Rounds = 6;
        var done = Enumerable.Range(0, Rounds).Select(_ => new ManualResetEventSlim()).ToArray();
        run(size, 64 << 10, (collective, device) =>
        {
            if (size == 1)
            {
                return string.Empty;
            }

            for (var round = 0; round < Rounds; round++)
            {
                // The first message alone may connect the two.
                var messages = round == 0 ? 1 : ICollective.MostPosted;
                if (collective.Rank == size - 1)
                {
                    var x = device.Tensor(DType.I32, 1, Words(round));
                    for (var message = 0; message < messages; message++)
                    {
                        device.Fill(x, Message(round, message));
                        collective.Post(x, 0);
                    }

                    device.Read(x);
                    done[round].Set();
                }
                else if (collective.Rank == 0)
                {
                    Assert.True(round == 0 || done[round].Wait(RankThreads.Timeout), "A post waits for its receiver.");
                    for (var message = 0; message < messages; message++)
                    {
                        var x = device.Tensor(DType.I32, 1, Words(round));
                        collective.Take(x, size - 1);
                        var (bytes, gapsAreUntouched) = device.Read(x);
                        Assert.Equal(Message(round, message), bytes);
                        Assert.True(gapsAreUntouched);
                    }
                }

                collective.Barrier();
            }

            collective.ThrowIfFailed();
            return string.Empty;
        });

        static int Words(int round) => round % 2 == 0 ? ICollective.MostPostedBytes / sizeof(int) : 7;

        static byte[] Message(int round, int message) =>
            [.. Enumerable.Range(0, Words(round)).SelectMany(i => BitConverter.GetBytes((round * 1_000_000) + (message * 10_000) + i))];
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
        Assert.Throws<ArgumentException>(() => collective.Post(x, collective.Rank));
        Assert.Throws<ArgumentException>(() => collective.Take(x, size));
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
