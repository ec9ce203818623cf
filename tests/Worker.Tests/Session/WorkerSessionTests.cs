using Google.Protobuf;
using Microsoft.Extensions.Logging.Abstractions;
using TensorParallel.Coordinator.Workers;
using TensorParallel.FakeWorkers;
using TensorParallel.Protocol.Parallel;
using TensorParallel.Protocol.Wire;
using TensorParallel.Protocol.Wire.Workers;
using TensorParallel.Worker.Session;
using Xunit;

namespace TensorParallel.Worker.Tests.Session;

/// <summary>One session at the real hub, sent commands in orders that no coordinator would send.</summary>
public sealed class WorkerSessionTests : IAsyncLifetime
{
    private const string Secret = "s3cret";
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(20);

    private readonly GroupLoss _loss = new();
    private readonly WorkerRank _rank;
    private WorkerHub _hub = null!;
    private CoordinatorLink _link = null!;
    private Task<SessionEnd> _ended = null!;

    public WorkerSessionTests()
    {
        _rank = new WorkerRank(
            FakePlans.Plan(1).Ranks[0],
            new StepLedger(1, TimeProvider.System),
            _loss,
            new Progress<Coordinator.Workers.LoadProgress>());
    }

    public async ValueTask InitializeAsync()
    {
        var admission = new HubAdmission(Secret, [_rank], s_patience);
        _hub = new WorkerHub(admission, NullLoggerFactory.Instance);
        _link = CoordinatorLink.Dial(WorkerAddress.TryParse(_hub.Address)!);
        _ended = RunAsync(_link, 0);
        await _rank.Connected.WaitAsync(s_patience);
    }

    public async ValueTask DisposeAsync()
    {
        _link.Dispose();
        await _hub.DisposeAsync();
    }

    public static TheoryData<string, WorkerCommand[]> Nonsense => new()
    {
        { "A step came before the load command.", [StepCommand(0)] },
        { "A bootstrap blob came before the load command", [BootstrapCommand()] },
        {
            "A bootstrap blob came before the load command or a second time.",
            [LoadCommand(), BootstrapCommand(), BootstrapCommand()]
        },
        { "A second load command came.", [LoadCommand(), LoadCommand()] },
        { "unknown command (None)", [new WorkerCommand()] },
        { "position is 128", [LoadCommand(), StepCommand(128)] },
        { "asks for 0 threads", [LoadCommand(load => load.Threads = 0)] },
        { "a collective timeout of 0 ms", [LoadCommand(load => load.CollectiveTimeoutMs = 0)] },
        { "plan", [LoadCommand(load => load.PlanJson = "{}")] },
    };

    [Theory]
    [MemberData(nameof(Nonsense), DisableDiscoveryEnumeration = true)]
    public async Task A_command_out_of_order_fails_the_session_and_the_coordinator_is_told(
        string expected, WorkerCommand[] commands)
    {
        Array.ForEach(commands, _rank.Post);

        Assert.Equal(SessionEnd.Failed, await _ended.WaitAsync(s_patience));
        Assert.Contains(expected, (await _loss.Lost.WaitAsync(s_patience)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Steps_sent_before_the_model_is_loaded_wait_for_it()
    {
        _rank.Post(LoadCommand());
        _rank.Post(new WorkerCommand { Stop = new Stop() });
        _rank.Post(StepCommand(1)); // after the stop: nobody's
        _rank.Post(BootstrapCommand());

        Assert.Equal(SessionEnd.Stopped, await _ended.WaitAsync(s_patience));
        Assert.Equal(FakeRankModelLoader.Bytes, (await _rank.Loaded).BytesRead);
        Assert.False(_loss.Lost.IsCompleted);
    }

    [Fact]
    public async Task A_stop_before_any_load_is_heeded()
    {
        _rank.Post(new WorkerCommand { Stop = new Stop() });

        Assert.Equal(SessionEnd.Stopped, await _ended.WaitAsync(s_patience));
    }

    [Fact]
    public async Task The_end_of_the_hub_ends_the_session_in_the_middle_of_a_load()
    {
        _rank.Post(LoadCommand()); // waits for the bootstrap blob

        await _hub.DisposeAsync();

        Assert.Equal(SessionEnd.CoordinatorLost, await _ended.WaitAsync(s_patience));
    }

    [Fact]
    public async Task A_second_worker_of_the_same_rank_is_refused()
    {
        using var link = CoordinatorLink.Dial(WorkerAddress.TryParse(_hub.Address)!);
        var second = RunAsync(link, 0);

        Assert.Equal(SessionEnd.CoordinatorLost, await second.WaitAsync(s_patience));
        Assert.Equal("rank 0 is connected already", link.LossReason);
        Assert.False(_ended.IsCompleted);
    }

    [Fact]
    public async Task A_rank_that_is_not_in_the_plan_is_refused()
    {
        using var link = CoordinatorLink.Dial(WorkerAddress.TryParse(_hub.Address)!);
        var second = RunAsync(link, 1);

        Assert.Equal(SessionEnd.CoordinatorLost, await second.WaitAsync(s_patience));
        Assert.Equal("rank 1 is not in 0 … 0", link.LossReason);
    }

    private static Task<SessionEnd> RunAsync(CoordinatorLink link, int rank)
    {
        var logger = NullLogger<WorkerSession>.Instance;
        return new WorkerSession(link, new WorkerIdentity(rank, Secret), new FakeRankModelLoader(), logger).RunAsync();
    }

    private static WorkerCommand LoadCommand(Action<Load>? change = null)
    {
        var load = new Load
        {
            ModelFolder = new FakeScript(FakeBehaviour.Good, 0).ToString(),
            PlanJson = PlanJson.Serialize(FakePlans.Plan(1)),
            Collective = "none",
            CollectiveTimeoutMs = 1000,
            Threads = 1,
        };
        change?.Invoke(load);
        return new WorkerCommand { Load = load };
    }

    private static WorkerCommand BootstrapCommand() =>
        new() { Bootstrap = new Bootstrap { Blob = ByteString.CopyFrom(1, 2, 3, 250) } };

    private static WorkerCommand StepCommand(int step) => new() { Step = WireMapping.ToWire(FakePlans.Step(step)) };
}
