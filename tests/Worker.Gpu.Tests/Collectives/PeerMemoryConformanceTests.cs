using TensorParallel.Worker.Collectives;
using TensorParallel.Worker.Collectives.PeerMemory;
using TensorParallel.Worker.Devices;
using TensorParallel.Worker.Tests.Collectives;
using Xunit;

namespace TensorParallel.Worker.Gpu.Tests.Collectives;

/// <summary>The cases of every backend, with the ranks as threads and a GPU each, by each way that a sum can go.</summary>
public sealed class PeerMemoryConformanceTests
{
    private static readonly Dictionary<string, PeerChoice?> s_choices = new()
    {
        ["measured"] = null,
        ["one shot"] = PeerChoice.AlwaysOneShot,
        ["two shots"] = PeerChoice.AlwaysTwoShot,
        ["mixed"] = new PeerChoice(6_000, 20_000, 2, 4),
    };

    public static TheoryData<int, string> Cases { get; } =
    [
        .. from size in (int[])[2, 4, 8]
           from choice in s_choices.Keys
           select new TheoryDataRow<int, string>(size, choice),
    ];

    [Theory]
    [MemberData(nameof(Cases))]
    public void Random_mixed_calls_give_what_the_inputs_of_all_ranks_say(int size, string choice) => Of(size, choice).RandomMixedCalls();

    [Theory]
    [MemberData(nameof(Cases))]
    public void Tensors_of_megabytes(int size, string choice) => Of(size, choice).TensorsOfMegabytes();

    [Theory]
    [InlineData(2)]
    [InlineData(4)]
    [InlineData(8)]
    public void Posts_never_wait_for_their_receiver(int size) => Of(size, "measured").PostsNeverWaitForTheirReceiver();

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public void Empty_tensors_barriers_and_wrong_arguments(int size)
    {
        var cases = Of(size, "measured");
        cases.EmptyTensors();
        cases.ABarrierLetsNobodyPassBeforeTheLast();
        cases.WrongArgumentsAreRefusedBeforeAnybodyWaits();
    }

    private static CollectiveCases Of(int size, string choice)
    {
        Gpu.Need(size);
        return new CollectiveCases((ranks, _, body) => Run(ranks, s_choices[choice], body), size, onHost: false);
    }

    private static string[] Run(int size, PeerChoice? choice, Func<ICollective, DeviceTensors, string> body)
    {
        var results = new string[size];
        if (size == 1)
        {
            using var device = new CudaDevice(0);
            var backend = new PeerMemoryBackend();
            using var alone = backend.Join(backend.CreateBootstrap(1, 0), 0, 1, device, RankThreads.Timeout);
            return [body(alone, new DeviceTensors(device))];
        }

        PeerRun.All(size, choice, (collective, device) => results[collective.Rank] = body(collective, new DeviceTensors(device)));
        return results;
    }
}
