using TensorParallel.Coordinator.Engine;
using TensorParallel.Coordinator.Workers;
using TensorParallel.Protocol.Generation;
using Xunit;

namespace TensorParallel.Coordinator.Tests.Engine;

/// <summary>
/// Random mixes of requests, cancellations and losses: whatever happens around it, a request gives what it gives alone,
/// the suspicious fake group sees nothing wrong, and nothing is held at the end.
/// </summary>
public sealed class EngineFuzzTests
{
    [Theory]
    [InlineData(false, 1)]
    [InlineData(true, 1)]
    [InlineData(false, 2)]
    [InlineData(false, 4)]
    [InlineData(true, 3)]
    public async Task Every_request_gives_what_it_gives_alone(bool withLosses, int stages)
    {
        for (var round = 0; round < 12; round++)
        {
            var seed = Random.Shared.Next();
            try
            {
                await RunRoundAsync(new Random(seed), withLosses, stages);
            }
            catch (Exception exception)
            {
                throw new InvalidOperationException($"Seed {seed}, losses {withLosses}, stages {stages}.", exception);
            }
        }
    }

    private static async Task RunRoundAsync(Random random, bool withLosses, int stages)
    {
        var limits = EngineFixture.Limits with { MaxStepTokens = random.Next(4, 40) };
        var losses = withLosses ? 3 : 0;
        await using var fixture = new EngineFixture(
            _ => new FakeWorkerGroup(limits, _ => YieldAsync(random), stages),
            new EngineOptions { RestartAttempts = 100 },
            new ImpatientTime());
        await fixture.StartAsync();
        var requests = Enumerable.Range(0, 40).Select(_ => RandomRequest(random)).ToArray();
        var runs = requests.Select(request => RunOneAsync(fixture, request, random)).ToArray();
        while (losses-- > 0)
        {
            var steps = fixture.Engine.Statistics.Steps + Next(random, 1, 60);
            await fixture.WaitUntilAsync(
                () => fixture.Engine.Statistics.Steps >= steps || Array.TrueForAll(runs, run => run.IsCompleted),
                "steps");
            fixture.Factory.Groups[^1].Lose(Next(random, 0, 2));
        }

        var outcomes = await Task.WhenAll(runs);
        for (var i = 0; i < requests.Length; i++)
        {
            var (ids, reason) = FakeModel.Run(requests[i]);
            Assert.Equal(ids[..outcomes[i].Ids.Count], outcomes[i].Ids);
            if (outcomes[i].Error is null)
            {
                Assert.True(outcomes[i].Finished is null || outcomes[i].Ids.Count == ids.Count);
                Assert.True(outcomes[i].Finished is null || outcomes[i].Finished!.Reason == reason);
            }
            else
            {
                Assert.True(withLosses && outcomes[i].Error is WorkerLostException, $"{outcomes[i].Error}");
            }
        }

        await fixture.WaitUntilAsync(
            () => !fixture.Factory.Groups[^1].Lost.IsCompleted
                && fixture.Engine.Statistics.Restarts == fixture.Factory.Groups.Count - 1,
            "the last restart");
        await fixture.CheckNothingIsLeftAsync();
        Assert.All(fixture.Factory.Groups, group => Assert.InRange(group.MostInFlight, 0, stages + 1));
    }

    /// <summary>Runs a request; some readers leave early, which gives neither a last event nor an error.</summary>
    private static async Task<Generation> RunOneAsync(EngineFixture fixture, GenerateRequest request, Random random)
    {
        var leaveAfter = Next(random, 0, 4) == 0 ? Next(random, 0, 20) : int.MaxValue;
        for (var i = Next(random, 0, 50); i > 0; i--)
        {
            await Task.Yield();
        }

        if (leaveAfter == int.MaxValue)
        {
            return await fixture.RunAsync(request);
        }

        return await Generation.ReadAsync(
            fixture.Engine.GenerateAsync(request, CancellationToken.None).Take(leaveAfter))
            .WaitAsync(EngineFixture.Patience);
    }

    private static GenerateRequest RandomRequest(Random random)
    {
        int[] RandomIds(int count) => [.. Enumerable.Range(0, count).Select(_ => random.Next(FakeModel.VocabularySize))];

        var prompt = RandomIds(random.Next(1, 60));
        var sampling = new SamplingParameters
        {
            Seed = (ulong)random.NextInt64(),
            MinNewTokens = random.Next(0, 6),
            EosTokenIds = RandomIds(random.Next(0, 5)),
        };
        return new GenerateRequest(prompt, random.Next(1, 36), sampling, []);
    }

    private static async Task YieldAsync(Random random)
    {
        for (var i = Next(random, 0, 8); i > 0; i--)
        {
            await Task.Yield();
        }
    }

    private static int Next(Random random, int from, int to)
    {
        lock (random)
        {
            return random.Next(from, to);
        }
    }
}
