using TensorParallel.Coordinator.Engine;
using TensorParallel.Coordinator.Workers;
using Xunit;

namespace TensorParallel.Coordinator.Tests.Engine;

public sealed class WorkerLossTests
{
    [Fact]
    public async Task Running_requests_fail_with_the_rank_and_waiting_ones_are_kept()
    {
        var gate = new StepGate();
        await using var fixture = new EngineFixture(
            start => start == 1
                ? new FakeWorkerGroup(EngineFixture.Limits, gate.PassAsync)
                : EngineFixture.Unpaced(start));
        var group = await fixture.StartAsync();
        var states = new List<EngineState>();
        fixture.Engine.StateChanged += states.Add;
        var request = EngineFixture.Request(4, 20);
        var running = fixture.RunAsync(request);
        await fixture.WaitUntilAsync(() => fixture.Engine.Statistics.Running == 1, "a running request");
        var waiting = fixture.RunAsync(request);
        await fixture.WaitUntilAsync(() => fixture.Engine.Statistics.Waiting == 1, "a waiting request");
        group.Lose(1);

        var lost = Assert.IsType<WorkerLostException>((await running).Error);
        Assert.Equal(1, lost.Rank);
        Assert.Contains("Worker 1", lost.Message);
        (await waiting).AssertIs(FakeModel.Run(request));
        Assert.True(group.Disposed);
        Assert.Equal([EngineState.Restarting, EngineState.Ready], states);
        Assert.Equal(1, fixture.Engine.Statistics.Restarts);
        await fixture.CheckNothingIsLeftAsync();
    }

    [Fact]
    public async Task A_listener_that_throws_does_not_harm_requests()
    {
        await using var fixture = new EngineFixture(EngineFixture.Unpaced);
        fixture.Engine.StateChanged += state => throw new InvalidOperationException($"cannot bear {state}");
        await fixture.StartAsync();
        var request = EngineFixture.Request(4, 20);
        (await fixture.RunAsync(request)).AssertIs(FakeModel.Run(request));
    }

    [Fact]
    public async Task A_loss_while_nothing_runs_restarts_too()
    {
        await using var fixture = new EngineFixture(EngineFixture.Unpaced);
        (await fixture.StartAsync()).Lose(0);
        await fixture.NextGroupAsync();
        await fixture.WaitForStateAsync(EngineState.Ready);
        var request = EngineFixture.Request(4, 20);
        (await fixture.RunAsync(request)).AssertIs(FakeModel.Run(request));
    }

    [Fact]
    public async Task A_group_that_answers_nonsense_counts_as_lost()
    {
        await using var fixture = new EngineFixture(
            start => start == 1
                ? new FakeWorkerGroup(
                    EngineFixture.Limits, _ => Task.FromException(new InvalidDataException("a torn answer")))
                : EngineFixture.Unpaced(start));
        await fixture.StartAsync();
        var broken = await fixture.RunAsync(EngineFixture.Request(4, 20));
        Assert.Contains("a torn answer", Assert.IsType<WorkerLostException>(broken.Error).Message);
        await fixture.WaitForStateAsync(EngineState.Ready);
    }

    [Fact]
    public async Task Restarts_that_keep_failing_end_with_a_clear_error_after_growing_pauses()
    {
        var time = new ImpatientTime();
        await using var fixture = new EngineFixture(
            start => start == 1
                ? EngineFixture.Unpaced(start)
                : throw new WorkerLostException(2, "Worker 2 has no memory left."),
            time: time);
        var group = await fixture.StartAsync();
        group.Lose(2);
        await fixture.WaitForStateAsync(EngineState.Failed);

        Assert.Equal(6, fixture.Factory.Starts);
        Assert.Equal([1, 2, 4, 8], time.Pauses.Select(pause => pause.TotalSeconds).Where(seconds => seconds > 0));
        var refused = await fixture.RunAsync(EngineFixture.Request(1, 1));
        var error = Assert.IsType<EngineUnavailableException>(refused.Error).Message;
        Assert.Contains("5 times in a row", error);
        Assert.Contains("Worker 2 has no memory left.", error);
    }

    [Fact]
    public async Task Groups_that_die_before_their_first_step_are_not_restarted_for_ever()
    {
        var time = new ImpatientTime();
        await using var fixture = new EngineFixture(
            start =>
            {
                var group = EngineFixture.Unpaced(start);
                if (start > 1)
                {
                    group.Lose(0);
                }

                return group;
            },
            time: time);
        (await fixture.StartAsync()).Lose(0);
        await fixture.WaitForStateAsync(EngineState.Failed);
        Assert.Equal(6, fixture.Factory.Starts);
    }

    [Fact]
    public async Task Waiting_requests_fail_when_the_restart_is_given_up()
    {
        var gate = new StepGate();
        await using var fixture = new EngineFixture(
            start => start == 1
                ? new FakeWorkerGroup(EngineFixture.Limits, gate.PassAsync)
                : throw new WorkerLostException(0, "Worker 0 ended with exit code 1."),
            new EngineOptions { RestartAttempts = 1 });
        var group = await fixture.StartAsync();
        var running = fixture.RunAsync(EngineFixture.Request(1, 9));
        await fixture.WaitUntilAsync(() => fixture.Engine.Statistics.Running == 1, "a running request");
        var waiting = fixture.RunAsync(EngineFixture.Request(1, 9));
        await fixture.WaitUntilAsync(() => fixture.Engine.Statistics.Waiting == 1, "a waiting request");
        group.Lose(0);
        Assert.IsType<WorkerLostException>((await running).Error);
        Assert.Contains("exit code 1", Assert.IsType<EngineUnavailableException>((await waiting).Error).Message);
    }

    [Fact]
    public async Task A_first_start_that_fails_says_why_and_fails_the_engine()
    {
        await using var fixture = new EngineFixture(_ => throw new WorkerLostException(3, "Worker 3 (cpu:3) ended."));
        var early = fixture.RunAsync(EngineFixture.Request(1, 9));
        var error = await Assert.ThrowsAsync<WorkerLostException>(
            () => fixture.Engine.StartAsync(CancellationToken.None));
        Assert.Equal(3, error.Rank);
        Assert.Contains("Worker 3 (cpu:3) ended.",
            Assert.IsType<EngineUnavailableException>((await early).Error).Message);
        await fixture.WaitForStateAsync(EngineState.Failed);
    }

    [Fact]
    public async Task Draining_refuses_new_requests_and_finishes_the_accepted_ones()
    {
        var gate = new StepGate();
        var fixture = new EngineFixture(_ => new FakeWorkerGroup(EngineFixture.Limits, gate.PassAsync));
        var group = await fixture.StartAsync();
        var request = EngineFixture.Request(4, 10);
        var accepted = Enumerable.Range(0, 7).Select(_ => fixture.RunAsync(request)).ToArray();
        await fixture.WaitUntilAsync(() => fixture.Engine.Statistics.Running >= 1, "running requests");
        var drain = fixture.Engine.DrainAsync(EngineFixture.Patience, CancellationToken.None);
        await fixture.WaitForStateAsync(EngineState.Draining);
        var refused = await fixture.RunAsync(request);
        Assert.Contains("shutting down", Assert.IsType<EngineUnavailableException>(refused.Error).Message);

        gate.Allow(1000);
        await drain;
        Assert.All(await Task.WhenAll(accepted), generation => generation.AssertIs(FakeModel.Run(request)));
        Assert.Equal(EngineState.Stopped, fixture.Engine.State);
        Assert.True(group.Disposed);
        await fixture.DisposeAsync();
    }

    [Fact]
    public async Task What_is_not_finished_within_the_grace_time_fails()
    {
        var gate = new StepGate();
        var fixture = new EngineFixture(
            _ => new FakeWorkerGroup(EngineFixture.Limits, gate.PassAsync), time: new ImpatientTime());
        var group = await fixture.StartAsync();
        var accepted = Enumerable.Range(0, 7).Select(_ => fixture.RunAsync(EngineFixture.Request(4, 10))).ToArray();
        await fixture.WaitUntilAsync(() => fixture.Engine.Statistics.Running >= 1, "running requests");
        await fixture.Engine.DrainAsync(TimeSpan.FromSeconds(20), CancellationToken.None);
        Assert.All(
            await Task.WhenAll(accepted), generation => Assert.IsType<EngineUnavailableException>(generation.Error));
        Assert.True(group.Disposed);
        await fixture.DisposeAsync();
    }

    [Fact]
    public async Task Disposing_ends_a_restart_under_way()
    {
        var reached = new TaskCompletionSource();
        var fixture = new EngineFixture(start =>
        {
            if (start == 1)
            {
                return EngineFixture.Unpaced(start);
            }

            reached.TrySetResult();
            throw new WorkerLostException(0, "not yet");
        });
        (await fixture.StartAsync()).Lose(0);
        await reached.Task.WaitAsync(EngineFixture.Patience);
        await fixture.DisposeAsync().AsTask().WaitAsync(EngineFixture.Patience);
        Assert.Equal(EngineState.Stopped, fixture.Engine.State);
    }
}
