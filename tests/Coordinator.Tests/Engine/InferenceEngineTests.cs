using System.Collections.Concurrent;
using TensorParallel.Coordinator.Engine;
using TensorParallel.Protocol.Generation;
using Xunit;

namespace TensorParallel.Coordinator.Tests.Engine;

public sealed class InferenceEngineTests
{
    [Fact]
    public async Task One_request_gives_its_tokens_and_times()
    {
        await using var fixture = new EngineFixture(EngineFixture.Unpaced);
        await fixture.StartAsync();
        var request = EngineFixture.Request(promptTokens: 7, maxNewTokens: 9);
        var generation = await fixture.RunAsync(request);

        generation.AssertIs(FakeModel.Run(request));
        Assert.Equal(7, generation.Finished!.Timings.PromptTokens);
        Assert.Equal(9, generation.Finished.Timings.GeneratedTokens);
        await fixture.CheckNothingIsLeftAsync();
    }

    [Fact]
    public async Task A_long_prompt_is_cut_into_chunks_and_sampled_once()
    {
        await using var fixture = new EngineFixture(EngineFixture.Unpaced);
        var group = await fixture.StartAsync();
        var request = EngineFixture.Request(promptTokens: 37, maxNewTokens: 1);
        (await fixture.RunAsync(request)).AssertIs(FakeModel.Run(request));

        var steps = await ReadAsync(group, 3);
        Assert.Equal([16, 16, 5], steps.Select(step => step.Sequences.Single().Rows));
        Assert.Equal([false, false, true], steps.Select(step => step.Sequences.Single().Sample));
        Assert.Equal([0, 16, 32], steps.Select(step => step.Sequences.Single().Position));
        Assert.Equal([4, 4, 2], steps.Select(step => step.Sequences.Single().NewBlocks.Count));
        await fixture.CheckNothingIsLeftAsync();
    }

    [Fact]
    public async Task The_next_step_is_sent_before_the_last_one_is_answered_and_no_further()
    {
        var gate = new StepGate();
        await using var fixture = new EngineFixture(_ => new FakeWorkerGroup(EngineFixture.Limits, gate.PassAsync));
        var group = await fixture.StartAsync();
        var running = fixture.RunAsync(EngineFixture.Request(promptTokens: 3, maxNewTokens: 4));

        var ahead = await ReadAsync(group, 2);
        Assert.Empty(ahead[1].Sequences.Single().Tokens);
        Assert.Equal(3, ahead[1].Sequences.Single().Position);
        gate.Allow(1);
        await ReadAsync(group, 1);
        Assert.Equal(2, group.MostInFlight);
        gate.Allow(10);
        await running;

        // 4 tokens are 4 steps: the end by length is known before it comes.
        await fixture.CheckNothingIsLeftAsync();
        Assert.Equal(4, fixture.Engine.Statistics.Steps);
        Assert.Equal(2, group.MostInFlight);
    }

    [Fact]
    public async Task A_request_that_arrives_joins_the_running_batch()
    {
        var gate = new StepGate();
        await using var fixture = new EngineFixture(_ => new FakeWorkerGroup(EngineFixture.Limits, gate.PassAsync));
        var group = await fixture.StartAsync();
        var first = EngineFixture.Request(promptTokens: 3, maxNewTokens: 20);
        var second = EngineFixture.Request(promptTokens: 5, maxNewTokens: 2, seed: 9);
        var one = fixture.RunAsync(first);
        await ReadAsync(group, 2);
        var two = fixture.RunAsync(second);
        await fixture.WaitUntilAsync(() => fixture.Engine.Statistics.Waiting == 1, "the second request to be queued");
        gate.Allow(1);

        var joined = (await ReadAsync(group, 1)).Single();
        Assert.Equal([0, 5], joined.Sequences.Select(entry => entry.Tokens.Count));
        gate.Allow(100);
        (await one).AssertIs(FakeModel.Run(first));
        (await two).AssertIs(FakeModel.Run(second));
        await fixture.CheckNothingIsLeftAsync();
    }

    [Fact]
    public async Task An_end_of_sequence_id_is_the_last_token_and_the_surplus_is_dropped()
    {
        await using var fixture = new EngineFixture(EngineFixture.Unpaced);
        await fixture.StartAsync();
        var open = EngineFixture.Request(promptTokens: 4, maxNewTokens: 30);
        var eos = FakeModel.Run(open).Ids[6];
        var request = open with { Sampling = open.Sampling with { EosTokenIds = [eos] } };
        var generation = await fixture.RunAsync(request);

        generation.AssertIs(FakeModel.Run(request));
        Assert.Equal(eos, generation.Ids[^1]);
        Assert.Equal(FinishReason.Stop, generation.Finished!.Reason);
        Assert.Equal(generation.Ids.Count, fixture.Engine.Statistics.GeneratedTokens);
        await fixture.CheckNothingIsLeftAsync();
    }

    [Fact]
    public async Task More_requests_than_slots_wait_their_turn()
    {
        await using var fixture = new EngineFixture(EngineFixture.Unpaced);
        await fixture.StartAsync();
        var requests = Enumerable.Range(0, 13)
            .Select(i => EngineFixture.Request(1 + i, 3 + (2 * i), (ulong)i))
            .ToArray();
        var generations = await Task.WhenAll(requests.Select(request => fixture.RunAsync(request)));
        Assert.All(requests.Zip(generations), pair => pair.Second.AssertIs(FakeModel.Run(pair.First)));
        await fixture.CheckNothingIsLeftAsync();
    }

    [Fact]
    public async Task A_request_that_can_never_fit_is_refused_with_numbers()
    {
        var limits = EngineFixture.Limits with { KvBlocks = 5 };
        await using var fixture = new EngineFixture(_ => new FakeWorkerGroup(limits, _ => Task.CompletedTask));
        await fixture.StartAsync();
        var tooLong = await fixture.RunAsync(EngineFixture.Request(90, 7));
        Assert.Contains("The prompt has 90 tokens and 7 new ones",
            Assert.IsType<RequestException>(tooLong.Error).Message);
        var tooMany = await fixture.RunAsync(EngineFixture.Request(17, 5));
        Assert.Contains("6 KV blocks of 4 tokens, but the cache has 5",
            Assert.IsType<RequestException>(tooMany.Error).Message);
        Assert.Null((await fixture.RunAsync(EngineFixture.Request(17, 4))).Error);
    }

    [Fact]
    public async Task A_full_queue_is_busy()
    {
        var gate = new StepGate();
        await using var fixture = new EngineFixture(
            _ => new FakeWorkerGroup(EngineFixture.Limits, gate.PassAsync), new EngineOptions { MaxWaiting = 2 });
        await fixture.StartAsync();
        var request = EngineFixture.Request(2, 3);
        var running = new List<Task<Generation>> { fixture.RunAsync(request) };
        await fixture.WaitUntilAsync(
            () => fixture.Engine.Statistics is { Running: 1, Waiting: 0 }, "a running request");

        // Two steps are in flight and none is answered: the next ones wait.
        running.Add(fixture.RunAsync(request));
        running.Add(fixture.RunAsync(request));
        var refused = await fixture.RunAsync(request);
        Assert.Contains("2 requests are waiting", Assert.IsType<EngineBusyException>(refused.Error).Message);

        gate.Allow(100);
        Assert.All(await Task.WhenAll(running), generation => generation.AssertIs(FakeModel.Run(request)));
        await fixture.CheckNothingIsLeftAsync();
        Assert.Null((await fixture.RunAsync(request)).Error);
    }

    [Fact]
    public async Task Requests_sent_before_the_start_wait_for_it()
    {
        await using var fixture = new EngineFixture(EngineFixture.Unpaced);
        var request = EngineFixture.Request(5, 6);
        var early = fixture.RunAsync(request);
        Assert.Equal(EngineState.Starting, fixture.Engine.State);
        await fixture.StartAsync();
        (await early).AssertIs(FakeModel.Run(request));
    }

    [Fact]
    public async Task An_event_of_the_engine_carries_log_probabilities()
    {
        await using var fixture = new EngineFixture(EngineFixture.Unpaced);
        await fixture.StartAsync();
        var request = EngineFixture.Request(5, 2) with { Sampling = new SamplingParameters { LogProbs = 3 } };
        await foreach (var generated in fixture.Engine.GenerateAsync(request, CancellationToken.None))
        {
            if (generated is GenerateEvent.Token token)
            {
                Assert.Equal(-1f, token.Sampled.LogProb);
                Assert.Equal(3, token.Sampled.TopLogProbs.Count);
            }
        }
    }

    private static async Task<List<StepBatch>> ReadAsync(FakeWorkerGroup group, int steps)
    {
        var read = new List<StepBatch>();
        while (read.Count < steps)
        {
            read.Add(await group.Sent.ReadAsync().AsTask().WaitAsync(EngineFixture.Patience));
        }

        return read;
    }

    /// <summary>A group that answers at once always has news: the thread that brought the first must not be kept for the rest.</summary>
    [Fact]
    public async Task A_requests_thread_runs_the_engine_once_and_goes_on()
    {
        var threads = new ConcurrentQueue<Thread>();
        await using var fixture = new EngineFixture(_ => new FakeWorkerGroup(EngineFixture.Limits, _ =>
        {
            threads.Enqueue(Thread.CurrentThread);
            return Task.CompletedTask;
        }));
        await fixture.StartAsync();
        var generation = new TaskCompletionSource<Task<Generation>>();
        var requester = new Thread(() => generation.SetResult(fixture.RunAsync(EngineFixture.Request(8, 80))));
        requester.Start();
        Assert.True(requester.Join(EngineFixture.Patience));

        Assert.Equal(80, (await await generation.Task).Ids.Count);
        Assert.InRange(threads.Count(thread => thread == requester), 0, 2);
        Assert.Equal(80, threads.Count);
    }
}
