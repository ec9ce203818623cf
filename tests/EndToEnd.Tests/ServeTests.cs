using Grpc.Core;
using TensorParallel.Protocol.Wire.Inference;

namespace TensorParallel.EndToEnd.Tests;

/// <summary><c>coordinator serve</c> with real workers: streaming, cancellation, losses, the end.</summary>
public class ServeTests
{
    [Fact]
    public async Task StreamsAGenerationAndTellsItsPlan()
    {
        await using var served = await ServedCoordinator.StartAsync("--cpu-workers", "3");
        var info = await served.Client.GetModelInfoAsync(new GetModelInfoRequest());
        Assert.Equal("tensor_parallel", info.Mode);
        Assert.Equal(3, info.WorldSize);
        Assert.Contains("\"query_heads\"", info.PlanJson, StringComparison.Ordinal);

        using var call = served.Client.Generate(new GenerateRequest { Prompt = "It was a truth", MaxNewTokens = 7 });
        var text = "";
        await foreach (var message in call.ResponseStream.ReadAllAsync(TestContext.Current.CancellationToken))
        {
            text += message.Token?.Text + message.Finished?.Text;
        }

        Assert.Equal(" in the world, and a man", text);
    }

    [Fact]
    public async Task ManyRequestsAtOnceEachGetTheirOwnAnswer()
    {
        await using var served = await ServedCoordinator.StartAsync("--cpu-workers", "2", "--dtype", "float32");
        var runs = GoldenRun.Load("demo", "float32");
        var answers = await Task.WhenAll(Enumerable.Range(0, 20).Select(index => served.GreedyAsync(runs[index % runs.Count])));
        for (var index = 0; index < answers.Length; index++)
        {
            runs[index % runs.Count].AssertFollowedBy(answers[index], $"request {index}");
        }
    }

    /// <summary>Requests that come, end and are given up while the stages of a device map work on the others' steps.</summary>
    [Theory]
    [InlineData("3")]
    [InlineData("1")]
    public async Task StagesThatWorkAtOnceGiveEachRequestItsOwnAnswer(string microBatches)
    {
        await using var served = await ServedCoordinator.StartAsync(
            "--cpu-workers", "3", "--device-map", "--dtype", "float32", "--micro-batches", microBatches, "--max-sequences", "6");
        var runs = GoldenRun.Load("demo", "float32");
        var leaving = Enumerable.Range(1, 6).Select(async tokens =>
        {
            using var call = served.Client.Generate(ServedCoordinator.LongRequest());
            Assert.Equal(tokens, await ServedCoordinator.ReadTokensAsync(call, tokens));
        }).ToArray();
        var answers = await Task.WhenAll(Enumerable.Range(0, 14).Select(index => served.GreedyAsync(runs[index % runs.Count])));
        await Task.WhenAll(leaving);
        for (var index = 0; index < answers.Length; index++)
        {
            runs[index % runs.Count].AssertFollowedBy(answers[index], $"request {index}");
        }
    }

    [Fact]
    public async Task ACancelledGenerationIsNoLongerComputed()
    {
        await using var served = await ServedCoordinator.StartAsync("--cpu-workers", "2");
        using (var call = served.Client.Generate(ServedCoordinator.LongRequest()))
        {
            Assert.Equal(5, await ServedCoordinator.ReadTokensAsync(call, 5));
        }

        await UntilAsync(async () => (await served.Client.GetStatsAsync(new GetStatsRequest())).Running == 0);
        var before = await served.Client.GetStatsAsync(new GetStatsRequest());
        Assert.True(before.GeneratedTokens < 1500);
        await served.GreedyAsync(GoldenRun.Load("demo", "bfloat16")[0]);
        var after = await served.Client.GetStatsAsync(new GetStatsRequest());
        Assert.Equal(96, after.GeneratedTokens - before.GeneratedTokens);
    }

    [Fact]
    public async Task ADeadlineEndsTheCallAndTheComputation()
    {
        await using var served = await ServedCoordinator.StartAsync("--cpu-workers", "2");
        using var call = served.Client.Generate(ServedCoordinator.LongRequest(), deadline: DateTime.UtcNow.AddSeconds(1));
        var exception = await Assert.ThrowsAsync<RpcException>(() => ServedCoordinator.ReadTokensAsync(call, int.MaxValue));
        Assert.Equal(StatusCode.DeadlineExceeded, exception.StatusCode);
        await UntilAsync(async () => (await served.Client.GetStatsAsync(new GetStatsRequest())).Running == 0);
    }

    /// <summary>In the device map three requests are under way, a step of each on every stage.</summary>
    [Theory]
    [InlineData(2, new string[0])]
    [InlineData(3, new[] { "--device-map" })]
    public async Task AKilledWorkerEndsItsRequestsByRankAndTheGroupServesTheNext(int count, string[] map)
    {
        await using var served = await ServedCoordinator.StartAsync(["--cpu-workers", $"{count}", .. map]);
        var workers = served.Process.Workers();
        Assert.Equal(count, workers.Count);
        var calls = Enumerable.Range(0, map.Length == 0 ? 1 : 3).Select(_ => served.Client.Generate(ServedCoordinator.LongRequest())).ToArray();
        foreach (var call in calls)
        {
            Assert.Equal(3, await ServedCoordinator.ReadTokensAsync(call, 3));
        }

        CoordinatorProcess.Signal(workers[1], 9);

        foreach (var call in calls)
        {
            using var _ = call;
            var exception = await Assert.ThrowsAsync<RpcException>(() => ServedCoordinator.ReadTokensAsync(call, int.MaxValue));
            Assert.Equal(StatusCode.Unavailable, exception.StatusCode);
            Assert.Matches("[Rr]ank [012] ", exception.Status.Detail);
            Assert.Contains("SIGKILL", exception.Status.Detail, StringComparison.Ordinal);
        }

        var golden = GoldenRun.Load("demo", "bfloat16")[0];
        golden.AssertFollowedBy(await served.GreedyAsync(golden), "after the restart");
        Assert.Equal(1, (await served.Client.GetStatsAsync(new GetStatsRequest())).Restarts);
        Assert.DoesNotContain(workers, CoordinatorProcess.IsAlive);
        Assert.Equal(count, served.Process.Workers().Count);
    }

    [Fact]
    public async Task CtrlCLetsARunningRequestFinish()
    {
        await using var served = await ServedCoordinator.StartAsync("--cpu-workers", "2");
        var workers = served.Process.Workers();
        using var call = served.Client.Generate(ServedCoordinator.LongRequest(200));
        Assert.Equal(2, await ServedCoordinator.ReadTokensAsync(call, 2));

        served.Process.Signal(2);
        await served.Process.WaitForAsync("stopping");

        Assert.Equal(198, await ServedCoordinator.ReadTokensAsync(call, int.MaxValue));
        Assert.Equal(0, await served.Process.WaitAsync());
        Assert.DoesNotContain(workers, CoordinatorProcess.IsAlive);
    }

    [Fact]
    public async Task AKilledCoordinatorLeavesNoWorkerAndNoSharedMemory()
    {
        await using var served = await ServedCoordinator.StartAsync("--cpu-workers", "2");
        var workers = served.Process.Workers();
        Assert.Equal(2, workers.Count);
        using var call = served.Client.Generate(ServedCoordinator.LongRequest());
        await ServedCoordinator.ReadTokensAsync(call, 2);

        // The segment that joins the workers: its name went when the last of them had joined, its memory must go with them.
        var segment = SharedSegmentOf(workers[0]);
        served.Process.Signal(9);

        await UntilAsync(() => Task.FromResult(!workers.Any(CoordinatorProcess.IsAlive)));
        Assert.False(File.Exists(segment), $"{segment} is left");
    }

    /// <summary>Asks again until the condition holds; 20 s at most.</summary>
    internal static async Task UntilAsync(Func<Task<bool>> condition)
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(20));
        while (!await condition())
        {
            await Task.Delay(20, limit.Token);
        }
    }

    private static string SharedSegmentOf(int worker)
    {
        const string Folder = "/dev/shm/";
        var line = File.ReadLines($"/proc/{worker}/maps").First(map => map.Contains(Folder + "tensor-parallel-", StringComparison.Ordinal));
        return line[line.IndexOf(Folder, StringComparison.Ordinal)..].Replace(" (deleted)", "", StringComparison.Ordinal);
    }
}
