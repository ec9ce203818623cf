using System.Text.Json;
using TensorParallel.Protocol.Checkpoints;
using TensorParallel.TestKit;

namespace TensorParallel.EndToEnd.Tests;

/// <summary>
/// Loading holds nothing twice: a worker's peak is its own weights, the slots they pass through and what a process takes. On processors
/// the weights themselves are in host memory, so each of two workers holds its half.
/// </summary>
public sealed class LittleMemoryTests : IDisposable
{
    private const long MiB = 1 << 20;

    // A process with runtime, code and buffers; slots and what is converted in them for each thread; activations of one token.
    private const long ProcessBytes = 160 * MiB;

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    /// <summary>
    /// The coordinator and both workers together, in a control group whose limit is below the checkpoint's size: 1,006 MB in float32,
    /// 252 MB on each worker, 900 MiB for all.
    /// </summary>
    [Fact]
    public async Task ACheckpointLargerThanAllMemoryThereIsLoads()
    {
        using var group = MemoryLimit.Create(900 * MiB, out var unavailable);
        Assert.SkipWhen(group is null, unavailable ?? "");
        var model = Write(layers: 16);
        Assert.True(CheckpointBytes(model) > group!.Bytes);
        await using var process = CoordinatorProcess.Start(Generate(model));
        group.Take(process.Id);

        Assert.True(await process.WaitAsync() == 0, process.Errors);
        TestContext.Current.SendDiagnosticMessage("peak of all processes: {0} MiB of {1}", group.PeakBytes / MiB, group.Bytes / MiB);
        Assert.InRange(group.PeakBytes, 2 * 240 * MiB, group.Bytes);
    }

    [Theory]
    [InlineData("tensor parallel")]
    [InlineData("device map")]
    [InlineData("shards")]
    public async Task AFloat32CheckpointLoadsAsBFloat16InLessMemoryThanItHasBytes(string how)
    {
        // 503 MB in files that are holes: 252 MB in bfloat16, 126 on each worker.
        var model = Write(layers: 8);
        var checkpointBytes = CheckpointBytes(model);
        string[] spread = how == "device map" ? ["--device-map"] : [];
        if (how == "shards")
        {
            var (shardExit, _, shardErrors) = await CoordinatorProcess.RunAsync(
                "shard", "--model", model, "--dtype", "bfloat16", "--ranks", "2");
            Assert.True(shardExit == 0, shardErrors);
        }

        var (exitCode, output, errors) = await CoordinatorProcess.RunAsync([.. Generate(model), .. spread]);

        Assert.True(exitCode == 0, errors);
        Assert.Equal(how == "shards", errors.Contains("Weights are read from the shards", StringComparison.Ordinal));
        using var json = JsonDocument.Parse(output);
        var ranks = json.RootElement.GetProperty("memory").EnumerateArray().ToList();
        Assert.Equal(2, ranks.Count);
        foreach (var rank in ranks)
        {
            var weights = rank.GetProperty("planned_bytes").GetProperty("weights").GetInt64();
            var peak = rank.GetProperty("peak_resident_bytes").GetInt64();
            TestContext.Current.SendDiagnosticMessage("{0}: weights {1} MiB, peak {2} MiB", how, weights / MiB, peak / MiB);
            Assert.Equal(weights, rank.GetProperty("bytes").GetProperty("Weights").GetInt64());
            Assert.InRange(weights, 110 * MiB, 130 * MiB);
            Assert.InRange(peak, weights, weights + ProcessBytes);
            Assert.True(peak < checkpointBytes, $"{peak} bytes were resident, and the checkpoint has {checkpointBytes}.");
        }
    }

    // Load threads are given: each has a slot, so that a machine with many processors would take more.
    private static string[] Generate(string model) =>
    [
        "generate", "--json", "--model", model, "--dtype", "bfloat16", "--cpu-workers", "2", "--load-threads", "2",
        "--prompt-ids", "5", "--max-new-tokens", "1", "--max-context", "64",
    ];

    private static long CheckpointBytes(string model) =>
        Directory.GetFiles(model, "*.safetensors").Sum(file => new FileInfo(file).Length);

    private string Write(int layers) => TinyCheckpoint.Write(_folder.File("model"), new TinyCheckpointOptions
    {
        Layers = layers,
        Hidden = 1024,
        Heads = 16,
        KvHeads = 8,
        HeadDim = 64,
        Intermediate = 4096,
        DType = DType.F32,
        Shards = 3,
        Zeros = true,
    });
}
