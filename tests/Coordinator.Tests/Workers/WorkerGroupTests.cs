using Microsoft.Extensions.Logging.Abstractions;
using TensorParallel.Coordinator.Workers;
using TensorParallel.FakeWorkers;
using TensorParallel.Worker.Session;
using Xunit;

namespace TensorParallel.Coordinator.Tests.Workers;

/// <summary>Real hub, real socket, real sessions; the model is fake and everything is in one process.</summary>
public sealed class WorkerGroupTests
{
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(20);

    private readonly InProcessLauncher _launcher = new();
    private readonly List<LoadProgress> _progress = [];

    [Fact]
    public async Task Steps_are_answered_in_order_with_the_tokens_of_the_reporting_rank()
    {
        await using var group = await StartAsync(FakePlans.Options(3));

        var answers = Enumerable.Range(0, 100).Select(step => group.StepAsync(FakePlans.Step(step))).ToArray();

        for (var step = 0; step < answers.Length; step++)
        {
            var answer = await answers[step].WaitAsync(s_patience);
            Assert.Equal(step, answer.Step);
            Assert.Equal((step * 10) + 3, Assert.Single(answer.Tokens).TokenId);
            Assert.Equal(3, answer.ComputeMicroseconds);
        }
    }

    [Fact]
    public async Task Loading_is_summarised_and_its_progress_told()
    {
        await using var group = await StartAsync(FakePlans.Options(2));

        var summary = group.LoadSummary!;
        Assert.Equal(2 * FakeRankModelLoader.Bytes, summary.BytesRead);
        Assert.Equal(new RankMemory("Weights", 901, 1001), Assert.Single(summary.Ranks[1].Memory));
        Assert.Equal("cpu:1", summary.Ranks[1].Device);
        Assert.All(group.PeakResidentBytes, bytes => Assert.InRange(bytes, 1 << 20, 1L << 40));
        lock (_progress)
        {
            Assert.Contains(new LoadProgress(0, 500, 1000), _progress);
            Assert.Contains(new LoadProgress(1, 1000, 1000), _progress);
        }
    }

    [Fact]
    public async Task Ranks_measure_and_tell_their_parts_of_the_start()
    {
        await using var group = await StartAsync(FakePlans.Options(3));

        var all = await group.MeasureAsync(MeasureKind.AllReduce, [64, 128]).WaitAsync(s_patience);
        var one = await group.MeasureAsync(MeasureKind.ReadRate, [4], ranks: [1]).WaitAsync(s_patience);

        Assert.Equal([10, 11, 12], all.Select(figures => figures[0].Microseconds));
        Assert.All(all, figures => Assert.Equal([("AllReduce", 64L), ("AllReduce", 128)], figures.Select(figure => (figure.Name, figure.Bytes))));
        Assert.Equal([new RankFigure("ReadRate", 11, 4, 0, 1, 0)], Assert.Single(one));
        var parts = group.LoadSummary!.Ranks[2].Parts;
        Assert.Equal(["fake", "process"], parts.Select(part => part.Name).Order());
        Assert.Equal(TimeSpan.FromMilliseconds(7), parts.Single(part => part.Name == "fake").Duration);
        var whole = group.LoadSummary.Parts.Single(part => part.Name == "fake");
        Assert.Equal(TimeSpan.FromMilliseconds(7), whole.Duration);
        Assert.Contains("fake 0.01 s at ", group.LoadSummary.PartsText(), StringComparison.Ordinal);
        Assert.InRange(group.LoadSummary.Processes, TimeSpan.FromTicks(1), group.LoadSummary.Elapsed);
    }

    [Fact]
    public async Task A_rank_that_fails_to_measure_is_lost()
    {
        await using var group = await StartAsync(FakePlans.Options(2, FakeBehaviour.MeasureThrow, 1));

        var lost = await Assert.ThrowsAsync<WorkerLostException>(
            () => group.MeasureAsync(MeasureKind.AllReduce, [64]).WaitAsync(s_patience));

        Assert.Contains("Overflow in the fake measure.", lost.Message, StringComparison.Ordinal);
        Assert.Equal(1, lost.Rank);
    }

    [Fact]
    public async Task Disposing_stops_the_workers_in_good_order_and_removes_the_socket()
    {
        var group = await StartAsync(FakePlans.Options(2));
        await group.StepAsync(FakePlans.Step(0)).WaitAsync(s_patience);

        await group.DisposeAsync();

        foreach (var session in _launcher.Sessions)
        {
            Assert.Equal(SessionEnd.Stopped, await session.Ended.WaitAsync(s_patience));
        }

        Assert.False(group.Lost.IsCompleted);
        Assert.False(Directory.Exists(Path.GetDirectoryName(_launcher.Sessions[0].SocketPath)));
        await Assert.ThrowsAsync<ObjectDisposedException>(() => group.StepAsync(FakePlans.Step(1)));
    }

    [Fact]
    public async Task A_wrong_secret_is_refused()
    {
        var launcher = new InProcessLauncher { WrongSecret = "guessed" };

        var lost = await Assert.ThrowsAsync<WorkerLostException>(() => StartAsync(FakePlans.Options(1), launcher));

        Assert.Contains("before it connected", lost.Message, StringComparison.Ordinal);
        Assert.Equal(SessionEnd.CoordinatorLost, await launcher.Sessions[0].Ended.WaitAsync(s_patience));
        Assert.Contains("secret", launcher.Sessions[0].LossReason, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(nameof(FakeBehaviour.LoadThrow), "while loading: InvalidDataException: The fake shard is cut short.")]
    [InlineData(nameof(FakeBehaviour.LoadHang), "has not got on with loading for 0.4 s")]
    public async Task A_rank_that_does_not_load_fails_the_start(string behaviour, string expected)
    {
        var options = FakePlans.Options(3, Enum.Parse<FakeBehaviour>(behaviour), 1) with
        {
            LoadStallTimeout = TimeSpan.FromSeconds(0.4),
        };

        var lost = await Assert.ThrowsAsync<WorkerLostException>(() => StartAsync(options));

        Assert.Equal(1, lost.Rank);
        Assert.Contains("Rank 1 (cpu:1, process", lost.Message, StringComparison.Ordinal);
        Assert.Contains(expected, lost.Message, StringComparison.Ordinal);
        Assert.All(_launcher.Sessions, session => Assert.True(session.Exited.IsCompleted));
    }

    [Theory]
    [InlineData(nameof(FakeBehaviour.StepThrow), "failed in step 5: ArithmeticException: Overflow in the fake model.")]
    [InlineData(nameof(FakeBehaviour.StepWrongNumber), "broke the protocol: It answered step 6 when 5 was due.")]
    [InlineData(nameof(FakeBehaviour.StepSpin), "has not answered step 5 within 0.4 s")]
    [InlineData(nameof(FakeBehaviour.StepPeerGone), "failed in step 5: Rank 2: peer 0 is gone.")]
    public async Task A_step_that_goes_wrong_loses_the_group(string behaviour, string expected)
    {
        var options = FakePlans.Options(3, Enum.Parse<FakeBehaviour>(behaviour), 2) with
        {
            StepTimeout = TimeSpan.FromSeconds(behaviour == nameof(FakeBehaviour.StepSpin) ? 0.4 : 60),
        };
        await using var group = await StartAsync(options);

        var first = group.StepAsync(FakePlans.Step(5));
        var second = group.StepAsync(FakePlans.Step(6));

        var lost = await Assert.ThrowsAsync<WorkerLostException>(() => first.WaitAsync(s_patience));
        Assert.Equal(2, lost.Rank);
        Assert.Contains("Rank 2 (cpu:2, process", lost.Message, StringComparison.Ordinal);
        Assert.Contains(expected, lost.Message, StringComparison.Ordinal);
        Assert.Same(lost, await Assert.ThrowsAsync<WorkerLostException>(() => second));
        Assert.Same(lost, await Assert.ThrowsAsync<WorkerLostException>(() => group.StepAsync(FakePlans.Step(7))));
        Assert.Same(lost, await group.Lost);
    }

    [Fact]
    public async Task The_peer_that_is_gone_is_blamed_before_the_rank_that_waited_for_it()
    {
        await using var group = await StartAsync(FakePlans.Options(2, FakeBehaviour.StepPeerGone, 1));

        var step = group.StepAsync(FakePlans.Step(5));
        await _launcher.Sessions[1].Ended.WaitAsync(s_patience);
        _launcher.Sessions[0].Kill();

        var lost = await Assert.ThrowsAsync<WorkerLostException>(() => step.WaitAsync(s_patience));
        Assert.Equal(0, lost.Rank);
        Assert.Contains("SIGKILL", lost.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_cancelled_start_leaves_nothing()
    {
        using var cancellation = new CancellationTokenSource();
        var starting = StartAsync(FakePlans.Options(2, FakeBehaviour.LoadHang, 0), _launcher, told =>
        {
            if (told.BytesDone == FakeRankModelLoader.Bytes / 2 && told.Rank == 0)
            {
                cancellation.Cancel();
            }
        }, cancellation.Token);

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => starting.WaitAsync(s_patience));

        Assert.All(_launcher.Sessions, session => Assert.True(session.Exited.IsCompleted));
        Assert.False(File.Exists(_launcher.Sessions[0].SocketPath));
    }

    private Task<WorkerGroup> StartAsync(WorkerGroupOptions options, InProcessLauncher? launcher = null) =>
        StartAsync(options, launcher ?? _launcher, told =>
        {
            lock (_progress)
            {
                _progress.Add(told);
            }
        }, CancellationToken.None);

    private static Task<WorkerGroup> StartAsync(
        WorkerGroupOptions options,
        InProcessLauncher launcher,
        Action<LoadProgress> progress,
        CancellationToken cancellationToken) =>
        new WorkerGroupFactory(options, launcher, new Sink(progress), NullLoggerFactory.Instance)
            .StartGroupAsync(cancellationToken).WaitAsync(s_patience, CancellationToken.None);

    private sealed class Sink(Action<LoadProgress> report) : IProgress<LoadProgress>
    {
        public void Report(LoadProgress value) => report(value);
    }
}
