using TensorParallel.Coordinator.Engine;
using TensorParallel.Coordinator.Text;
using TensorParallel.Protocol.Generation;
using TensorParallel.TestKit;
using Xunit;

namespace TensorParallel.Coordinator.Tests.Engine;

/// <summary>What its reader no longer wants is no longer computed.</summary>
public sealed class CancellationTests
{
    private static readonly Tokenizer s_tokenizer = Tokenizer.Load(RepositoryPaths.DemoModel);

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_reader_that_leaves_ends_the_computation_within_the_steps_in_flight(bool byToken)
    {
        var gate = new StepGate();
        await using var fixture = new EngineFixture(_ => new FakeWorkerGroup(EngineFixture.Limits, gate.PassAsync));
        var group = await fixture.StartAsync();
        using var cancellation = new CancellationTokenSource();
        gate.Allow(5);
        var tokens = 0;
        try
        {
            await foreach (var _ in fixture.Engine.GenerateAsync(EngineFixture.Request(3, 80), cancellation.Token))
            {
                if (++tokens == 5 && byToken)
                {
                    await cancellation.CancelAsync();
                }
                else if (tokens == 5)
                {
                    break;
                }
            }
        }
        catch (OperationCanceledException)
        {
            Assert.True(byToken);
        }

        Assert.Equal(5, tokens);
        gate.Allow(100);
        await fixture.CheckNothingIsLeftAsync();
        var before = fixture.Engine.Statistics.Steps;
        Assert.InRange(before, 5, 7);

        // A next request proves that the engine goes on and that no step after those in flight contained the old one.
        var request = EngineFixture.Request(2, 2);
        (await fixture.RunAsync(request)).AssertIs(FakeModel.Run(request));
        Assert.Equal(before + 2, fixture.Engine.Statistics.Steps);
        var sent = 0;
        while (group.Sent.TryRead(out var step))
        {
            sent++;
            Assert.True(sent <= before || step.Sequences.Single().Start is not null
                || step.Sequences.Single().Position == 2);
        }

        Assert.Equal(before + 2, sent);
    }

    [Fact]
    public async Task A_waiting_request_that_is_cancelled_gives_its_place_back_and_is_never_computed()
    {
        var gate = new StepGate();
        await using var fixture = new EngineFixture(
            _ => new FakeWorkerGroup(EngineFixture.Limits, gate.PassAsync), new EngineOptions { MaxWaiting = 1 });
        var group = await fixture.StartAsync();
        var request = EngineFixture.Request(2, 3);
        var running = fixture.RunAsync(request);
        await fixture.WaitUntilAsync(() => fixture.Engine.Statistics.Running == 1, "the first request to run");
        using var cancellation = new CancellationTokenSource();
        var waiting = fixture.RunAsync(EngineFixture.Request(9, 9), cancellation.Token);
        await cancellation.CancelAsync();
        Assert.IsAssignableFrom<OperationCanceledException>((await waiting).Error);

        await fixture.WaitUntilAsync(() => fixture.Engine.Statistics.Waiting == 0, "the place to be free");
        gate.Allow(100);
        (await running).AssertIs(FakeModel.Run(request));
        await fixture.CheckNothingIsLeftAsync();
        Assert.Equal(2, fixture.Engine.Statistics.PromptTokens);
        Assert.Empty(group.Violations);
    }

    [Fact]
    public async Task A_stop_string_ends_the_computation_and_is_left_out()
    {
        await using var fixture = new EngineFixture(EngineFixture.Unpaced, tokenizer: s_tokenizer);
        await fixture.StartAsync();
        var open = EngineFixture.Request(6, 60) with { Sampling = new SamplingParameters { Seed = 5 } };
        var whole = (await fixture.RunAsync(open)).Text;
        Assert.Equal(s_tokenizer.Decode(FakeModel.Run(open).Ids), whole);
        var stop = whole[20..23];
        var generation = await fixture.RunAsync(open with { StopStrings = ["never seen", stop] });

        Assert.Equal(whole[..whole.IndexOf(stop, StringComparison.Ordinal)], generation.Text);
        Assert.Equal(FinishReason.Stop, generation.Finished!.Reason);
        Assert.Equal(FakeModel.Run(open).Ids[..generation.Ids.Count], generation.Ids);
        Assert.Equal(generation.Ids.Count, generation.Finished.Timings.GeneratedTokens);
        await fixture.CheckNothingIsLeftAsync();
    }

    [Fact]
    public async Task A_stop_string_stops_the_steps_before_its_reader_has_read_the_last_event()
    {
        var gate = new StepGate();
        await using var fixture = new EngineFixture(
            _ => new FakeWorkerGroup(EngineFixture.Limits, gate.PassAsync), tokenizer: s_tokenizer);
        await fixture.StartAsync();
        var open = EngineFixture.Request(6, 60) with { Sampling = new SamplingParameters { Seed = 5 } };
        var text = s_tokenizer.Decode(FakeModel.Run(open).Ids);
        var reader = fixture.Engine.GenerateAsync(
            open with { StopStrings = [text[..8]] }, CancellationToken.None).GetAsyncEnumerator();
        gate.Allow(1);
        var last = string.Empty;
        var tokens = 0;
        while (tokens < 60 && await reader.MoveNextAsync())
        {
            tokens++;
            last += ((GenerateEvent.Token)reader.Current).Text;
            gate.Allow(1);
            if (s_tokenizer.Decode(FakeModel.Run(open).Ids[..tokens]).Contains(text[..8], StringComparison.Ordinal))
            {
                break;
            }
        }

        // The reader stands still at the token that completed the stop string.
        gate.Allow(100);
        await fixture.CheckNothingIsLeftAsync();
        Assert.Equal(string.Empty, last);
        Assert.InRange(fixture.Engine.Statistics.Steps, tokens, tokens + 2);
        await reader.DisposeAsync();
    }

    [Fact]
    public async Task Stop_strings_without_a_tokenizer_are_refused()
    {
        await using var fixture = new EngineFixture(EngineFixture.Unpaced);
        await fixture.StartAsync();
        var refused = await fixture.RunAsync(EngineFixture.Request(2, 2) with { StopStrings = ["x"] });
        Assert.Contains("tokenizer", Assert.IsType<RequestException>(refused.Error).Message);
    }
}
