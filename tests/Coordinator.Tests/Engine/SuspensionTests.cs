using Xunit;

namespace TensorParallel.Coordinator.Tests.Engine;

/// <summary>An engine that sends no steps for a while.</summary>
public sealed class SuspensionTests
{
    [Fact]
    public async Task It_waits_for_all_steps_and_requests_wait_for_its_end()
    {
        var gate = new StepGate();
        await using var fixture = new EngineFixture(_ => new FakeWorkerGroup(EngineFixture.Limits, gate.PassAsync));
        await fixture.StartAsync();
        var request = EngineFixture.Request(4, 5);
        var running = fixture.RunAsync(request);
        await fixture.WaitUntilAsync(() => fixture.Engine.Statistics.Running == 1, "a running request");
        var suspended = fixture.Engine.SuspendAsync();
        Assert.False(suspended.IsCompleted);
        gate.Allow(100);
        await suspended.WaitAsync(EngineFixture.Patience);
        (await running).AssertIs(FakeModel.Run(request));

        var waiting = fixture.RunAsync(request);
        await fixture.WaitUntilAsync(() => fixture.Engine.Statistics.Waiting == 1, "a waiting request");
        var steps = fixture.Engine.Statistics.Steps;
        await fixture.Engine.SuspendAsync().WaitAsync(EngineFixture.Patience); // again, and the loop has turned
        Assert.Equal(steps, fixture.Engine.Statistics.Steps);
        Assert.False(waiting.IsCompleted);
        fixture.Engine.Resume();
        (await waiting).AssertIs(FakeModel.Run(request));
        await fixture.CheckNothingIsLeftAsync();
    }

    [Fact]
    public async Task It_ends_with_the_engine_and_without_workers_at_once()
    {
        var fixture = new EngineFixture(EngineFixture.Unpaced);
        await fixture.Engine.SuspendAsync().WaitAsync(EngineFixture.Patience);
        await fixture.DisposeAsync();
        await fixture.Engine.SuspendAsync().WaitAsync(EngineFixture.Patience);
    }

    [Fact]
    public async Task The_end_of_a_computation_is_told_before_its_tokens_are_read()
    {
        await using var fixture = new EngineFixture(EngineFixture.Unpaced);
        await fixture.StartAsync();
        var ends = 0;
        var ended = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var reader = fixture.Engine.GenerateAsync(EngineFixture.Request(4, 5), CancellationToken.None, () =>
        {
            Interlocked.Increment(ref ends);
            ended.TrySetResult();
        }).GetAsyncEnumerator();
        Assert.True(await reader.MoveNextAsync());
        await ended.Task.WaitAsync(EngineFixture.Patience);
        while (await reader.MoveNextAsync())
        {
            Assert.Equal(1, Volatile.Read(ref ends));
        }

        Assert.Equal(1, ends);
    }
}
