using System.Diagnostics;
using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Worker.Collectives;
using TensorParallel.Worker.Collectives.PeerMemory;
using TensorParallel.Worker.Devices;
using TensorParallel.Worker.Ops.Cuda;
using TensorParallel.Worker.Tests.Collectives;
using Xunit;

namespace TensorParallel.Worker.Gpu.Tests.Collectives;

/// <summary>What only GPUs that store into each other's memory can get wrong. Ranks are threads with a GPU each.</summary>
public sealed class PeerMemoryTests
{
    public static TheoryData<int> Sizes { get; } = [2, 4, 8];

    [Theory]
    [MemberData(nameof(Sizes))]
    public void A_thousand_sums_queued_without_looking(int size) => PeerRun.All(size, null, (collective, device) =>
    {
        const int Calls = 1000;
        var sizes = new Random(7);
        var lengths = Enumerable.Range(0, Calls).Select(_ => 1 + (int)(Math.Pow(sizes.NextDouble(), 4) * 200_000)).ToArray();
        var dtypes = Enumerable.Range(0, Calls).Select(_ => CudaElement.All[sizes.Next(3)]).ToArray();
        var shots = Enumerable.Range(0, Calls).Select(_ => sizes.Next(3)).ToArray();
        var tensors = lengths.Zip(dtypes, (n, t) => ((IDevice)device).AllocateTensor(t, 1, n, MemoryPurpose.Workspace)).ToArray();
        for (var call = 0; call < Calls; call++)
        {
            SumCases.Upload(device, tensors[call], Enumerable.Repeat(SumCases.Term(call, collective.Rank), lengths[call]));
        }

        for (var call = 0; call < Calls; call++)
        {
            collective.Choice = shots[call] switch
            {
                0 => PeerChoice.AlwaysOneShot,
                1 => PeerChoice.AlwaysTwoShot,
                _ => new PeerChoice(16 << 10, 64 << 10, 1, 1),
            };
            collective.AllReduceSum(tensors[call]);
        }

        device.Synchronize();
        collective.ThrowIfFailed();
        for (var call = 0; call < Calls; call++)
        {
            var expected = Enumerable.Range(0, collective.Size).Sum(rank => SumCases.Term(call, rank));
            Assert.All(SumCases.Download(device, tensors[call]), v => Assert.Equal(expected, v));
        }
    });

    [Theory]
    [MemberData(nameof(Sizes))]
    public void Every_dtype_and_odd_shape_by_every_way(int size) =>
        PeerRun.All(size, null, (collective, device) => new SumCases(collective, device).EveryShape());

    [Theory]
    [MemberData(nameof(Sizes))]
    public void Sum_residual_and_norm_in_one_are_the_three_one_after_the_other(int size) =>
        PeerRun.All(size, null, (collective, device) => new SumCases(collective, device).FusedIsUnfused());

    [Theory]
    [MemberData(nameof(Sizes))]
    public void Divided_rows_are_those_that_every_rank_makes(int size) =>
        PeerRun.All(size, null, (collective, device) => new SumCases(collective, device).DividedIsUnfused());

    [Theory]
    [MemberData(nameof(Sizes))]
    public void A_captured_graph_replays_a_thousand_times_with_new_numbers(int size) => PeerRun.All(size, null, (collective, device) =>
    {
        // x += step; sum += Σ over ranks of x, a thousand times: thousandth sum = Σ k · Σ steps, whole numbers below 2^24.
        const int Replays = 1000;
        using var ops = new CudaOps(device);
        var tensors = Enumerable.Range(0, 4)
            .Select(_ => ((IDevice)device).AllocateTensor(DType.F32, 1, 4096, MemoryPurpose.Workspace)).ToArray();
        var (x, step, term, sum) = (tensors[0], tensors[1], tensors[2], tensors[3]);
        foreach (var (tensor, value) in ((Tensor, float)[])[(x, 0), (step, 1 + (collective.Rank % 2)), (term, 0), (sum, 0)])
        {
            SumCases.Upload(device, tensor, Enumerable.Repeat(value, 4096));
        }

        collective.AllReduceSum(term); // loads the kernels
        ops.Add(sum, term);
        collective.Choice = PeerChoice.AlwaysTwoShot;
        collective.AllReduceSum(term);
        void Issue(PeerChoice choice)
        {
            collective.Choice = choice;
            ops.Add(x, step);
            device.Copy(x.Buffer, 0, term.Buffer, 0, x.Buffer.Bytes);
            collective.AllReduceSum(term);
            ops.Add(sum, term);
        }

        using var graph = CudaGraph.Capture(device, () =>
        {
            Issue(PeerChoice.AlwaysOneShot);
            Issue(PeerChoice.AlwaysTwoShot);
        });
        for (var i = 0; i < Replays / 2; i++)
        {
            graph.Replay();
        }

        device.Synchronize();
        collective.ThrowIfFailed();
        var steps = Enumerable.Range(0, collective.Size).Sum(rank => 1 + (rank % 2));
        Assert.All(SumCases.Download(device, sum), v => Assert.Equal(steps * (Replays * (Replays + 1) / 2), v));
    });

    [Theory]
    [MemberData(nameof(Sizes))]
    public void A_rank_that_comes_late_is_waited_for(int size)
    {
        using var queued = new CountdownEvent(size - 1);
        PeerRun.All(size, null, (collective, device) =>
        {
            var x = ((IDevice)device).AllocateTensor(DType.BF16, 1, 4096, MemoryPurpose.Workspace);
            SumCases.Upload(device, x, Enumerable.Repeat(1f, 4096));
            if (collective.Rank == size - 1)
            {
                Assert.True(queued.Wait(RankThreads.Timeout));
            }

            collective.AllReduceSum(x);
            collective.AllReduceSum(x);
            if (collective.Rank < size - 1)
            {
                Assert.False(device.IsIdle);
                queued.Signal();
            }

            Assert.All(SumCases.Download(device, x), v => Assert.Equal(size * size, v));
            collective.ThrowIfFailed();
        });
    }

    [Fact]
    public void A_peer_that_never_comes_ends_the_wait_with_an_error_that_stays()
    {
        using var present = new ManualResetEventSlim();
        var failures = PeerRun.Each(2, TimeSpan.FromSeconds(2), PeerChoice.AlwaysOneShot, (collective, device) =>
        {
            collective.Barrier();
            if (collective.Rank == 1)
            {
                Assert.True(present.Wait(RankThreads.Timeout));
                return;
            }

            var x = ((IDevice)device).AllocateTensor(DType.F32, 1, 1000, MemoryPurpose.Workspace);
            var began = Stopwatch.GetTimestamp();
            try
            {
                for (var i = 0; i < 5; i++)
                {
                    collective.AllReduceSum(x); // the others fall through
                }

                device.Synchronize();
                Assert.InRange(Stopwatch.GetElapsedTime(began).TotalSeconds, 1.9, 4);
                Assert.Throws<CollectiveException>(() => collective.AllReduceSum(x));
                collective.ThrowIfFailed();
            }
            finally
            {
                present.Set();
            }
        });
        Assert.Null(failures[1]);
        var error = Assert.IsType<CollectiveException>(failures[0]);
        Assert.Matches(@"^Rank 0 of 2 waited 2\.0 s for rank 1 in AllReduceSum, call \d+\.$", error.Message);
    }

    [Fact]
    public void A_message_that_never_comes_ends_the_wait_and_leaves_what_was_there()
    {
        using var present = new ManualResetEventSlim();
        var failures = PeerRun.Each(2, TimeSpan.FromSeconds(2), PeerChoice.AlwaysOneShot, (collective, device) =>
        {
            collective.Barrier();
            if (collective.Rank == 1)
            {
                Assert.True(present.Wait(RankThreads.Timeout));
                return;
            }

            var x = ((IDevice)device).AllocateTensor(DType.F32, 1, 100, MemoryPurpose.Workspace);
            SumCases.Upload(device, x, Enumerable.Repeat(3f, 100));
            try
            {
                collective.Take(x, 1);
                Assert.All(SumCases.Download(device, x), v => Assert.Equal(3, v));
                collective.ThrowIfFailed();
            }
            finally
            {
                present.Set();
            }
        });
        Assert.Null(failures[1]);
        var error = Assert.IsType<CollectiveException>(failures[0]);
        Assert.Matches(@"^Rank 0 of 2 waited 2\.0 s for rank 1 in Take, call \d+\.$", error.Message);
    }

    [Fact]
    public void The_variable_turns_it_off_and_the_name_says_so()
    {
        Gpu.Need(2);
        var blob = new PeerMemoryBackend().CreateBootstrap(2, 0);
        Environment.SetEnvironmentVariable(PeerMemoryBackend.Variable, "0");
        try
        {
            var failures = RankThreads.Each(2, rank =>
            {
                using var device = new CudaDevice(rank);
                using var collective = new PeerMemoryBackend().Join(blob, rank, 2, device, RankThreads.Timeout);
                Assert.Equal("nccl (no peer memory: rank 0: TP_PEER_MEMORY is 0)", collective.Name);
                collective.Barrier();
            });
            Assert.All(failures, Assert.Null);
        }
        finally
        {
            Environment.SetEnvironmentVariable(PeerMemoryBackend.Variable, null);
        }
    }
}
