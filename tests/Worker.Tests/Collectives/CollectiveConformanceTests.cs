using TensorParallel.Worker.Collectives;
using Xunit;

namespace TensorParallel.Worker.Tests.Collectives;

/// <summary>What every backend of the catalog for host memory must do, with the ranks as threads.</summary>
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
    public void Random_mixed_calls_give_what_the_inputs_of_all_ranks_say(string backend, int size) => Cases(backend, size).RandomMixedCalls();

    [Theory]
    [MemberData(nameof(BackendsAndSizes))]
    public void Tensors_larger_than_announced_go_in_chunks(string backend, int size) => Cases(backend, size).TensorsLargerThanAnnounced();

    [Theory]
    [MemberData(nameof(BackendsAndSizes))]
    public void Tensors_of_megabytes(string backend, int size) => Cases(backend, size).TensorsOfMegabytes();

    [Theory]
    [MemberData(nameof(BackendsAndSizes))]
    public void Empty_tensors_are_fine(string backend, int size) => Cases(backend, size).EmptyTensors();

    [Theory]
    [MemberData(nameof(BackendsAndSizes))]
    public void A_barrier_lets_nobody_pass_before_the_last(string backend, int size) => Cases(backend, size).ABarrierLetsNobodyPassBeforeTheLast();

    [Theory]
    [MemberData(nameof(BackendsAndSizes))]
    public void Wrong_arguments_are_refused_before_anybody_waits(string backend, int size) =>
        Cases(backend, size).WrongArgumentsAreRefusedBeforeAnybodyWaits();

    [Theory]
    [MemberData(nameof(BackendsAndSizes))]
    public void Posts_never_wait_for_their_receiver(string backend, int size) => Cases(backend, size).PostsNeverWaitForTheirReceiver();

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
        Assert.Equal("There is no collective backend \"pigeons\"; there are: shared-memory, nccl, peer-memory.", error.Message);
    }

    private static CollectiveCases Cases(string backend, int size) => new(
        (ranks, maxMessageBytes, body) => RankThreads.Run(
            backend, ranks, maxMessageBytes, (collective, device) => body(collective, new DeviceTensors(device))),
        size,
        onHost: true);

    private static Comparer<Type> TypeNames { get; } = Comparer<Type>.Create((a, b) =>
        string.CompareOrdinal(a.FullName, b.FullName));
}
