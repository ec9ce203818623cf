using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Worker.Collectives;
using Xunit;

namespace TensorParallel.Worker.Tests.Collectives;

/// <summary>What every backend of the catalog must do, with the ranks as threads.</summary>
public sealed class CollectiveConformanceTests
{
    public static TheoryData<string, int> BackendsAndSizes()
    {
        var data = new TheoryData<string, int>();
        foreach (var backend in RankThreads.Backends)
        {
            for (var size = 1; size <= 8; size++)
            {
                data.Add(backend, size);
            }
        }

        return data;
    }

    [Theory]
    [MemberData(nameof(BackendsAndSizes))]
    public void Random_mixed_calls_give_what_the_inputs_of_all_ranks_say(string backend, int size)
    {
        var hashes = RankThreads.Run(
            backend,
            size,
            40_000,
            (collective, device) => new CollectiveScript(collective, device, 100 + size, 10_000).Run(1000 / size));
        Assert.Single(hashes.Distinct());
    }

    [Theory]
    [MemberData(nameof(BackendsAndSizes))]
    public void Tensors_larger_than_announced_go_in_chunks(string backend, int size)
    {
        var hashes = RankThreads.Run(
            backend,
            size,
            512,
            (collective, device) => new CollectiveScript(collective, device, 200 + size, 20_000).Run(20));
        Assert.Single(hashes.Distinct());
    }

    [Theory]
    [MemberData(nameof(BackendsAndSizes))]
    public void Tensors_of_megabytes(string backend, int size)
    {
        var hashes = RankThreads.Run(
            backend,
            size,
            4 << 20,
            (collective, device) => new CollectiveScript(collective, device, 300 + size, 1 << 19).Run(3));
        Assert.Single(hashes.Distinct());
    }

    [Theory]
    [MemberData(nameof(BackendsAndSizes))]
    public void Empty_tensors_are_fine(string backend, int size)
    {
        RankThreads.Run(backend, size, 0, (collective, device) =>
        {
            var empty = device.Tensor(DType.F32, 0, 7);
            collective.AllReduceSum(empty);
            collective.Broadcast(empty, size - 1);
            collective.AllGatherColumns(device.Tensor(DType.F32, 3, 0), device.Tensor(DType.F32, 3, 0), new int[size]);
            collective.Barrier();
            return 0;
        });
    }

    [Theory]
    [MemberData(nameof(BackendsAndSizes))]
    public void A_barrier_lets_nobody_pass_before_the_last(string backend, int size)
    {
        var entered = new int[200];
        RankThreads.Run(backend, size, 64, (collective, _) =>
        {
            for (var round = 0; round < entered.Length; round++)
            {
                Interlocked.Increment(ref entered[round]);
                collective.Barrier();
                Assert.Equal(size, Volatile.Read(ref entered[round]));
            }

            return 0;
        });
    }

    [Theory]
    [MemberData(nameof(BackendsAndSizes))]
    public void Wrong_arguments_are_refused_before_anybody_waits(string backend, int size)
    {
        RankThreads.Run(backend, size, 64, (collective, device) =>
        {
            var x = device.Tensor(DType.BF16, 2, 8);
            var outside = x with { DType = DType.F32, Columns = 64, RowStride = 64 };
            Assert.Equal((collective.Rank, size), (collective.Rank, collective.Size));
            Assert.Throws<ArgumentException>(() => collective.AllReduceSum(x));
            Assert.Throws<ArgumentException>(() => collective.AllReduceSum(outside));
            Assert.Throws<ArgumentException>(() => collective.AllGatherColumns(x, x, new int[size]));
            Assert.Throws<ArgumentException>(() => collective.AllGatherColumns(x, x, new int[size + 1]));
            Assert.Throws<ArgumentException>(() => collective.Send(x, collective.Rank));
            Assert.Throws<ArgumentException>(() => collective.Receive(x, size));
            Assert.Throws<ArgumentOutOfRangeException>(() => collective.Broadcast(x, size));
            return 0;
        });
    }

    [Fact]
    public void Every_backend_of_the_assembly_is_in_the_catalog()
    {
        var written = typeof(ICollectiveBackend).Assembly.GetTypes()
            .Where(t => t is { IsClass: true, IsAbstract: false } && t.IsAssignableTo(typeof(ICollectiveBackend)));
        var listed = CollectiveCatalog.Backends.ToDictionary(b => b.Value().GetType(), b => b.Key);
        Assert.Equal(written.Order(TypeNames), listed.Keys.Order(TypeNames));
        Assert.All(CollectiveCatalog.Backends, b => Assert.Equal(b.Key, b.Value().Name));
    }

    [Fact]
    public void An_unknown_backend_is_an_error_that_lists_the_known_ones()
    {
        var error = Assert.Throws<CollectiveException>(() => CollectiveCatalog.Create("pigeons"));
        Assert.Equal("There is no collective backend \"pigeons\"; there are: shared-memory.", error.Message);
    }

    private static Comparer<Type> TypeNames { get; } = Comparer<Type>.Create((a, b) =>
        string.CompareOrdinal(a.FullName, b.FullName));
}
