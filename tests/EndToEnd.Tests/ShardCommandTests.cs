using System.Globalization;
using System.Text.Json;
using TensorParallel.TestKit;

namespace TensorParallel.EndToEnd.Tests;

/// <summary><c>coordinator shard</c>, and runs that read what it wrote.</summary>
public sealed class ShardCommandTests : IDisposable
{
    private const string CacheFolder = ".tensor-parallel";

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task TokensFromShardsAreTheReferences_AndDamageIsNamed()
    {
        var golden = GoldenRun.Load("llama", "float32")[1];
        var model = Copy("llama");
        string[] cut = ["--model", model, "--dtype", "float32"];
        var made = await CoordinatorProcess.RunAsync(["shard", .. cut, "--ranks", "3"]);
        Assert.True(made.ExitCode == 0, made.Errors);
        var set = made.Output.Trim();
        Assert.Equal(Path.Combine(model, CacheFolder), Path.GetDirectoryName(set));

        var run = await CoordinatorProcess.RunAsync([.. Generate(golden), .. cut, "--cpu-workers", "3"]);

        Assert.True(run.ExitCode == 0, run.Errors);
        Assert.Contains($"Weights are read from the shards in {set} (3 files", run.Errors, StringComparison.Ordinal);
        golden.AssertFollowedBy(Tokens(run.Output), "from shards");

        var again = await CoordinatorProcess.RunAsync(["shard", .. cut, "--ranks", "3"]);
        Assert.Contains("there already", again.Errors, StringComparison.Ordinal);

        var broken = Directory.GetFiles(set, "rank-00001*").Single();
        FlipLastByte(broken);
        var damaged = await CoordinatorProcess.RunAsync([.. Generate(golden), .. cut, "--cpu-workers", "3"]);
        Assert.Equal(1, damaged.ExitCode);
        Assert.Contains($"Rank 1: {broken}: tensor \"", damaged.Errors, StringComparison.Ordinal);
        Assert.Contains("coordinator shard --force", damaged.Errors, StringComparison.Ordinal);
    }

    [Fact]
    public async Task ADeviceMapHasShardsToo_AndThoseOfAChangedCheckpointAreRefused()
    {
        var golden = GoldenRun.Load("llama_tied_hd64", "float32")[0];
        var model = Copy("llama_tied_hd64");
        string[] run = ["--model", model, "--dtype", "float32", "--device-map", "--cpu-workers", "2"];
        var elsewhere = _folder.File("shards");
        var made = await CoordinatorProcess.RunAsync(["shard", .. run, "--output", elsewhere]);
        Assert.True(made.ExitCode == 0, made.Errors);

        var sharded = await CoordinatorProcess.RunAsync([.. Generate(golden), .. run, "--shards", elsewhere]);
        Assert.True(sharded.ExitCode == 0, sharded.Errors);
        Assert.Contains("Weights are read from the shards in", sharded.Errors, StringComparison.Ordinal);
        golden.AssertFollowedBy(Tokens(sharded.Output), "device map from shards");

        FlipLastByte(Path.Combine(model, "model.safetensors"));
        var changed = await CoordinatorProcess.RunAsync([.. Generate(golden), .. run, "--shards", elsewhere]);
        Assert.Equal(2, changed.ExitCode);
        Assert.Contains("model.safetensors has changed since they were cut: make the shards anew", changed.Errors, StringComparison.Ordinal);
    }

    [Fact]
    public async Task ADiskWithoutRoomIsOneSentenceAndNothingIsLeft()
    {
        // Weights of 2 TB that are holes of the file; no test machine has as much free.
        var model = TinyCheckpoint.Write(_folder.File("model"), new TinyCheckpointOptions
        {
            Layers = 1,
            Vocab = 1 << 24,
            Hidden = 1 << 15,
            DType = Protocol.Checkpoints.DType.F32,
            Tied = true,
            Zeros = true,
        });
        var (exitCode, _, errors) = await CoordinatorProcess.RunAsync("shard", "--model", model, "--ranks", "2");

        Assert.Equal(1, exitCode);
        Assert.Matches(
            @"the shards need 2,199,\d\d\d,\d\d\d,\d\d\d bytes \(2\.0 TiB\), but [0-9,]+ \([0-9.]+ [KMGT]iB\) are free there: make room", errors);
        Assert.False(Directory.Exists(Path.Combine(model, CacheFolder)));
    }

    [Fact]
    public async Task CtrlCLeavesNothing()
    {
        var model = TinyCheckpoint.Write(_folder.File("model"), new TinyCheckpointOptions
        {
            Layers = 64,
            Hidden = 1024,
            Intermediate = 4096,
            DType = Protocol.Checkpoints.DType.F32,
            Zeros = true,
        });
        await using var process = CoordinatorProcess.Start(
            "shard", "--model", model, "--ranks", "2", "--dtype", "bfloat16", "--load-threads", "1");
        await process.WaitForAsync("loading");
        process.Signal(2);

        Assert.Equal(1, await process.WaitAsync());
        Assert.Contains("Interrupted.", process.Errors, StringComparison.Ordinal);
        Assert.False(Directory.Exists(Path.Combine(model, CacheFolder)));
    }

    private static string[] Generate(GoldenRun golden)
    {
        var count = golden.GreedyIds.Length.ToString(CultureInfo.InvariantCulture);
        return
        [
            "generate", "--json", "--prompt-ids", string.Join(',', golden.PromptIds),
            "--min-new-tokens", count, "--max-new-tokens", count,
        ];
    }

    private static int[] Tokens(string json)
    {
        using var root = JsonDocument.Parse(json);
        return [.. root.RootElement.GetProperty("token_ids").EnumerateArray().Select(id => id.GetInt32())];
    }

    private static void FlipLastByte(string path)
    {
        using var file = File.Open(path, FileMode.Open);
        file.Seek(-1, SeekOrigin.End);
        var value = file.ReadByte();
        file.Seek(-1, SeekOrigin.Current);
        file.WriteByte((byte)(value ^ 4));
    }

    private string Copy(string family)
    {
        var target = Directory.CreateDirectory(_folder.File(family)).FullName;
        foreach (var file in Directory.GetFiles(RepositoryPaths.Golden(family)).Where(file => !Path.GetFileName(file).StartsWith("golden.", StringComparison.Ordinal)))
        {
            File.Copy(file, Path.Combine(target, Path.GetFileName(file)));
        }

        return target;
    }
}
