using TensorParallel.Worker.Collectives;
using TensorParallel.Worker.Collectives.Nccl;
using TensorParallel.Worker.Devices;
using TensorParallel.Worker.Tests.Collectives;
using Xunit;

namespace TensorParallel.Worker.Gpu.Tests.Collectives;

/// <summary>The cases of every backend, with the ranks as threads and a GPU each.</summary>
public sealed class NcclConformanceTests
{
    public static TheoryData<int> Sizes { get; } = [1, 2, 4, 8];

    [Theory]
    [MemberData(nameof(Sizes))]
    public void Random_mixed_calls_give_what_the_inputs_of_all_ranks_say(int size) => Cases(size).RandomMixedCalls();

    [Theory]
    [MemberData(nameof(Sizes))]
    public void Tensors_larger_than_announced(int size) => Cases(size).TensorsLargerThanAnnounced();

    [Theory]
    [MemberData(nameof(Sizes))]
    public void Tensors_of_megabytes(int size) => Cases(size).TensorsOfMegabytes();

    [Theory]
    [MemberData(nameof(Sizes))]
    public void Empty_tensors_are_fine(int size) => Cases(size).EmptyTensors();

    [Theory]
    [MemberData(nameof(Sizes))]
    public void A_barrier_lets_nobody_pass_before_the_last(int size) => Cases(size).ABarrierLetsNobodyPassBeforeTheLast();

    [Theory]
    [MemberData(nameof(Sizes))]
    public void Wrong_arguments_are_refused_before_anybody_waits(int size) =>
        Cases(size).WrongArgumentsAreRefusedBeforeAnybodyWaits();

    [Theory]
    [MemberData(nameof(Sizes))]
    public void Posts_never_wait_for_their_receiver(int size) => Cases(size).PostsNeverWaitForTheirReceiver();

    [Fact]
    public void A_peer_that_never_comes_ends_the_wait_with_an_error()
    {
        Gpu.Need(2);
        using var present = new ManualResetEventSlim();
        var failures = Run(2, TimeSpan.FromSeconds(3), (collective, device) =>
        {
            var x = device.AllocateTensor(Protocol.Checkpoints.DType.F32, 1, 1000, MemoryPurpose.Workspace);
            collective.Barrier();
            if (collective.Rank == 1)
            {
                Assert.True(present.Wait(RankThreads.Timeout));
                return;
            }

            try
            {
                collective.AllReduceSum(x);
                device.Synchronize();
                collective.ThrowIfFailed();
            }
            finally
            {
                present.Set();
            }
        });
        Assert.Null(failures[1]);
        var error = Assert.IsType<CollectiveException>(failures[0]);
        Assert.Matches(@"^Rank 0 of 2 waited \d+\.\d s for its peers in AllReduceSum, call 2\.$", error.Message);
    }

    [Fact]
    public void A_group_that_nobody_else_joins_is_given_up()
    {
        Gpu.Need(2);
        var backend = new NcclBackend();
        var blob = backend.CreateBootstrap(2, 64);
        var device = new CudaDevice(0); // NCCL's thread keeps using it, so it ends with the process
        var error = Assert.Throws<CollectiveException>(() => backend.Join(blob, 0, 2, device, TimeSpan.FromSeconds(2)));
        Assert.Equal("Rank 0 of 2 waited 2 s for its peers to join the NCCL group.", error.Message);
    }

    private static CollectiveCases Cases(int size)
    {
        Gpu.Need(size);
        return new CollectiveCases(RunRanks, size, onHost: false);
    }

    private static string[] RunRanks(int size, long maxMessageBytes, Func<ICollective, DeviceTensors, string> body)
    {
        var results = new string[size];
        var failures = Run(size, RankThreads.Timeout, (collective, device) =>
            results[collective.Rank] = body(collective, new DeviceTensors(device)));
        return failures.OfType<Exception>().ToList() is { Count: > 0 } thrown ? throw new AggregateException(thrown) : results;
    }

    private static Exception?[] Run(int size, TimeSpan timeout, Action<ICollective, IDevice> body)
    {
        var blob = new NcclBackend().CreateBootstrap(size, 0);
        return RankThreads.Each(size, rank =>
        {
            using IDevice device = new CudaDevice(rank);
            using var collective = new NcclBackend().Join(blob, rank, size, device, timeout);
            body(collective, device);
        });
    }
}
