using System.Net.Sockets;
using Microsoft.Extensions.Logging.Abstractions;
using TensorParallel.Coordinator.Workers;
using TensorParallel.FakeWorkers;
using TensorParallel.Protocol.Wire.Frames;
using TensorParallel.Protocol.Wire.Workers;
using Xunit;

namespace TensorParallel.Coordinator.Tests.Workers;

/// <summary>Strangers at the workers' socket, who speak in frames without a worker behind them.</summary>
public sealed class WorkerHubTests : IAsyncLifetime
{
    private const string Secret = "s3cret";
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(20);
    private static readonly TimeSpan s_helloTimeout = TimeSpan.FromSeconds(0.5);

    private readonly WorkerRank _rank = new(
        FakePlans.Plan(1).Ranks[0], new StepLedger(1, TimeProvider.System), new GroupLoss(), new Progress<Coordinator.Workers.LoadProgress>());

    private WorkerHub _hub = null!;

    public ValueTask InitializeAsync()
    {
        _hub = new WorkerHub(new HubAdmission(Secret, [_rank], s_helloTimeout), NullLoggerFactory.Instance);
        return ValueTask.CompletedTask;
    }

    public ValueTask DisposeAsync() => _hub.DisposeAsync();

    [Fact]
    public void Who_says_nothing_is_sent_away_in_time()
    {
        using var stranger = Connect();
        Assert.Equal("no message came within 0.5 s", RefusalOf(stranger));
    }

    [Fact]
    public void Who_says_something_else_first_is_sent_away()
    {
        using var stranger = Connect();
        stranger.Send(new WorkerEvent { Loaded = new Loaded() });
        Assert.Equal("the first event must be a hello", RefusalOf(stranger));
    }

    [Theory]
    [InlineData("")]
    [InlineData("s3cre")]
    [InlineData("s3cret ")]
    public void Who_does_not_know_the_secret_is_sent_away(string secret)
    {
        using var stranger = Connect();
        stranger.Send(new WorkerEvent { Hello = new Hello { Rank = 0, Secret = secret } });
        Assert.Equal("the secret is not this coordinator's", RefusalOf(stranger));
        Assert.False(_rank.Connected.IsCompleted);
    }

    [Fact]
    public void No_more_is_taken_in_of_a_stranger_than_a_hello_can_have()
    {
        using var stranger = Connect();
        stranger.Send(new WorkerEvent { Hello = new Hello { Rank = 0, Secret = new string('x', 1 << 20) } });
        Assert.Contains("4096 may come", RefusalOf(stranger), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_stream_outlives_the_door_and_ends_with_the_hub()
    {
        using var worker = Connect();
        worker.Send(new WorkerEvent { Hello = new Hello { Rank = 0, Secret = Secret } });
        await _rank.Connected.WaitAsync(s_patience);
        _hub.CloseDoor();

        Assert.Throws<SocketException>(Connect);
        _rank.Post(new WorkerCommand { Stop = new Stop() });
        Assert.NotNull(worker.Receive(WorkerCommand.Parser, patience: s_patience)?.Stop);

        await _hub.DisposeAsync();
        Assert.Null(worker.Receive(WorkerCommand.Parser, patience: s_patience));
    }

    private static string? RefusalOf(MessageSocket stranger)
    {
        var reason = stranger.Receive(WorkerCommand.Parser, patience: s_patience)?.Refused?.Reason;
        Assert.Null(stranger.Receive(WorkerCommand.Parser, patience: s_patience)); // and the stream is closed
        return reason;
    }

    private MessageSocket Connect()
    {
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            socket.Connect(new UnixDomainSocketEndPoint(_hub.Address["unix:".Length..]));
            return new MessageSocket(socket);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }
}
