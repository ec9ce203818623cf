using Grpc.Core;
using TensorParallel.Protocol.Wire.Admin;
using TensorParallel.Protocol.Wire.Inference;
using TensorParallel.TestKit;

namespace TensorParallel.EndToEnd.Tests;

/// <summary>Several models in one coordinator, with real workers: chosen by name, loaded, unloaded, making room for each other.</summary>
public class ModelsTests
{
    private static readonly string s_root = Path.GetDirectoryName(RepositoryPaths.DemoModel)!;

    // Weights of 17 MiB, a cache of 4 MiB and activations: two of them do not fit into 28 MiB together.
    private static readonly string[] s_tight =
    [
        "--cpu-workers", "1", "--max-memory", "0=28MiB", "--max-context", "256", "--max-sequences", "2", "--max-step-tokens", "64",
        "--admin-port", "0",
    ];

    [Fact]
    public async Task Idle_models_make_room_and_their_tokens_stay_the_same()
    {
        await using var served = await ServedCoordinator.StartAsync(
            ["--model", $"a={RepositoryPaths.DemoModel}", "--model", $"b={RepositoryPaths.DemoModel}", "--offload", "model", .. s_tight]);
        var goldens = GoldenRun.Load("demo", "bfloat16");
        for (var round = 0; round < 2; round++)
        {
            foreach (var model in (string[])["a", "b", "b", "a"])
            {
                goldens[round].AssertFollowedBy(await served.GreedyAsync(goldens[round], model), $"{model}, round {round}");
            }
        }

        // All at once: everybody gets an answer, and the right one.
        var answers = await Task.WhenAll(Enumerable.Range(0, 12).Select(i => served.GreedyAsync(goldens[i % 3], i % 2 == 0 ? "a" : "b")));
        Assert.All(answers.Select((ids, i) => (ids, i)), answer => goldens[answer.i % 3].AssertFollowedBy(answer.ids, $"request {answer.i}"));

        var models = (await served.Admin.ListModelsAsync(new ListModelsRequest())).Models;
        Assert.Equal(["a", "b"], models.Select(model => model.Name));
        Assert.Equal(["devices", "host"], models.Select(model => model.Place).Order());
        Assert.All(models, model => Assert.True(model is { Evictable: true, State: "ready", Evictions: > 1 }, $"{model}"));
        Assert.All(models, model => Assert.Equal(model.WeightBytes + model.KvBytes, model.LastEviction.DeviceBytes));
        Assert.All(models, model => Assert.True(model.LastRestore.Milliseconds > 0));

        var memory = await served.Admin.GetMemoryAsync(new GetMemoryRequest());
        foreach (var (model, report) in models.Zip(memory.Models))
        {
            var rank = Assert.Single(report.Ranks);
            Assert.Equal(model.Place == "host", rank.Evicted);
            Assert.Equal(model.Place == "host" ? 0 : model.WeightBytes, Of(rank, "Weights").CurrentBytes);
            Assert.Equal(model.WeightBytes, Of(rank, "Weights").PeakBytes);
        }

        var reset = await served.Admin.ResetPeaksAsync(new ResetPeaksRequest { Model = models.Single(model => model.Place == "host").Name });
        Assert.Equal(0, Of(Assert.Single(Assert.Single(reset.Models).Ranks), "Weights").PeakBytes);
        Assert.True(memory.Server is { ManagedBytes: > 0, Threads: > 0 } && memory.Devices.Count == 1, $"{memory}");
    }

    [Fact]
    public async Task An_evicted_model_whose_worker_is_killed_is_served_again()
    {
        await using var served = await ServedCoordinator.StartAsync(
            ["--model", $"a={RepositoryPaths.DemoModel}", "--model", $"b={RepositoryPaths.DemoModel}", "--offload", "model", .. s_tight]);
        var golden = GoldenRun.Load("demo", "bfloat16")[0];
        golden.AssertFollowedBy(await served.GreedyAsync(golden, "b"), "b");
        foreach (var worker in served.Process.Workers())
        {
            CoordinatorProcess.Signal(worker, 9);
        }

        foreach (var model in (string[])["a", "b"])
        {
            await ServeTests.UntilAsync(async () => (await served.Client.GetStatsAsync(new GetStatsRequest { Model = model })).Restarts > 0);
            golden.AssertFollowedBy(await served.GreedyAsync(golden, model), $"{model} after the restart");
        }
    }

    [Fact]
    public async Task Models_are_loaded_beside_others_and_one_that_fails_leaves_them_alone()
    {
        using var folder = new TemporaryFolder();
        File.CreateSymbolicLink(folder.File("elsewhere"), RepositoryPaths.Golden("llama"));
        var broken = Directory.CreateDirectory(folder.File("broken")).FullName;
        File.Copy(Path.Combine(RepositoryPaths.DemoModel, "config.json"), Path.Combine(broken, "config.json"));
        await using var served = await ServedCoordinator.StartAsync(
            "--cpu-workers", "2", "--admin-port", "0", "--model-root", folder.Path, "--model-root", Path.GetDirectoryName(RepositoryPaths.Golden("llama"))!);
        var admin = served.Admin;
        var demo = GoldenRun.Load("demo", "bfloat16")[0];

        await RefusedAsync(new LoadModelRequest { Folder = s_root }, StatusCode.PermissionDenied, "--model-root");
        await RefusedAsync(new LoadModelRequest { Folder = "/etc" }, StatusCode.PermissionDenied, "--model-root");
        await RefusedAsync(new LoadModelRequest { Folder = RepositoryPaths.DemoModel }, StatusCode.AlreadyExists, "demo-model");
        await RefusedAsync(new LoadModelRequest { Folder = broken }, StatusCode.InvalidArgument, "no weights");
        await RefusedAsync(new LoadModelRequest { Folder = broken, TpPlan = "/etc/passwd" }, StatusCode.InvalidArgument, "tp_plan");
        await RefusedAsync(
            new LoadModelRequest { Folder = RepositoryPaths.DemoModel, Name = "small", CpuWorkers = 1, MaxMemory = "0=8MiB" },
            StatusCode.InvalidArgument,
            "its budget is 8.0 MiB");
        Assert.Equal("demo-model", Assert.Single((await admin.ListModelsAsync(new ListModelsRequest())).Models).Name);

        var loaded = await admin.LoadModelAsync(
            new LoadModelRequest { Folder = folder.File("elsewhere"), Name = "second", Dtype = "float32", CpuWorkers = 1, MaxContext = 64 });
        Assert.Equal(("second", "ready", "devices", "float32", 64), (
            loaded.Model.Name, loaded.Model.State, loaded.Model.Place, loaded.Model.Dtype, loaded.Model.MaxContextTokens));
        Assert.Equal(3, served.Process.Workers().Count);
        Assert.Equal("demo-model", (await served.Client.GetModelInfoAsync(new GetModelInfoRequest())).Name);
        Assert.Equal(1, (await served.Client.GetModelInfoAsync(new GetModelInfoRequest { Model = "second" })).WorldSize);
        demo.AssertFollowedBy(await served.GreedyAsync(demo), "the first model");

        // A request that runs gets its time; the end of a model ends nobody else's.
        using var running = served.Client.Generate(ServedCoordinator.LongRequest(100));
        Assert.Equal(2, await ServedCoordinator.ReadTokensAsync(running, 2));
        await admin.UnloadModelAsync(new UnloadModelRequest { Name = "second", GraceSeconds = 0 });
        Assert.Equal(2, served.Process.Workers().Count);
        var gone = await Assert.ThrowsAsync<RpcException>(
            async () => await served.Client.GetStatsAsync(new GetStatsRequest { Model = "second" }));
        Assert.Equal(new Status(StatusCode.NotFound, "There is no model \"second\"; there is demo-model."), gone.Status);
        await admin.UnloadModelAsync(new UnloadModelRequest { Name = "demo-model" });
        Assert.Equal(98, await ServedCoordinator.ReadTokensAsync(running, int.MaxValue));
        Assert.Empty(served.Process.Workers());
        await RefusedUnloadAsync();

        async Task RefusedAsync(LoadModelRequest request, StatusCode status, string text)
        {
            var error = await Assert.ThrowsAsync<RpcException>(async () => await admin.LoadModelAsync(request));
            Assert.Equal(status, error.StatusCode);
            Assert.Contains(text, error.Status.Detail, StringComparison.Ordinal);
        }

        async Task RefusedUnloadAsync()
        {
            var error = await Assert.ThrowsAsync<RpcException>(
                async () => await admin.UnloadModelAsync(new UnloadModelRequest { Name = "demo-model" }));
            Assert.Equal(StatusCode.NotFound, error.StatusCode);
        }
    }

    [Fact]
    public async Task Loading_and_unloading_twenty_times_leaves_nothing_behind()
    {
        using var folder = new TemporaryFolder();
        TinyCheckpoint.Write(folder.File("tiny"), new TinyCheckpointOptions());
        await using var served = await ServedCoordinator.StartAsync(
            "--cpu-workers", "1", "--admin-port", "0", "--model-root", folder.Path, "--log-level", "Warning");
        var admin = served.Admin;
        await RoundAsync(); // what is made once
        var files = Files();
        var before = await HeldAsync();
        for (var round = 0; round < 20; round++)
        {
            await RoundAsync();
        }

        var after = await HeldAsync();
        Assert.Equal(before.Workers, after.Workers);

        // Other programs of this machine may be starting: their files go, what was left would stay.
        var fresh = Files().Except(files).ToList();
        await ServeTests.UntilAsync(() => Task.FromResult(!fresh.Exists(Path.Exists)));
        Assert.InRange(after.Handles, 0, before.Handles + 8);
        Assert.InRange(after.Threads, 0, before.Threads + 8);
        Assert.InRange(after.ManagedBytes, 0, before.ManagedBytes + (4 << 20));

        async Task RoundAsync()
        {
            await admin.LoadModelAsync(new LoadModelRequest { Folder = folder.File("tiny"), MaxContext = 64 });
            using var call = served.Client.Generate(new GenerateRequest
            {
                Model = "tiny",
                PromptIds = new TokenIds { Ids = { 1, 2 } },
                MaxNewTokens = 3,
                IgnoreEos = true,
            });
            Assert.Equal(3, await ServedCoordinator.ReadTokensAsync(call, int.MaxValue));
            await admin.UnloadModelAsync(new UnloadModelRequest { Name = "tiny" });
        }

        async Task<Held> HeldAsync()
        {
            var memory = await admin.ResetPeaksAsync(new ResetPeaksRequest());
            var process = $"/proc/{served.Process.Id}";
            return new Held(
                string.Join(',', served.Process.Workers()),
                Directory.GetFileSystemEntries($"{process}/fd").Length,
                Directory.GetDirectories($"{process}/task").Length,
                memory.Server.ManagedBytes);
        }
    }

    private static PurposeMemory Of(RankMemory rank, string purpose) => rank.Purposes.Single(use => use.Purpose == purpose);

    // Shared memory and sockets of worker groups.
    private static List<string> Files() =>
        [.. Directory.GetFiles("/dev/shm", "tensor-parallel-*"), .. Directory.GetDirectories(Path.GetTempPath(), "tp-????????????????")];

    private sealed record Held(string Workers, int Handles, int Threads, long ManagedBytes);
}
