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
    private const long ProcessBytes = 190 * MiB;

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("tensor parallel")]
    [InlineData("device map")]
    [InlineData("shards")]
    public async Task AFloat32CheckpointLoadsAsBFloat16InLessMemoryThanItHasBytes(string how)
    {
        // 503 MB in files that are holes: 252 MB in bfloat16, 126 on each worker.
        var model = TinyCheckpoint.Write(_folder.File("model"), new TinyCheckpointOptions
        {
            Layers = 8,
            Hidden = 1024,
            Heads = 16,
            KvHeads = 8,
            HeadDim = 64,
            Intermediate = 4096,
            DType = DType.F32,
            Shards = 3,
            Zeros = true,
        });
        var checkpointBytes = Directory.GetFiles(model, "*.safetensors").Sum(file => new FileInfo(file).Length);
        string[] run = ["--model", model, "--dtype", "bfloat16", "--cpu-workers", "2", .. how == "device map" ? ["--device-map"] : (string[])[]];
        if (how == "shards")
        {
            var (shardExit, _, shardErrors) = await CoordinatorProcess.RunAsync(["shard", .. run]);
            Assert.True(shardExit == 0, shardErrors);
        }

        var (exitCode, output, errors) = await CoordinatorProcess.RunAsync(
            ["generate", "--json", "--prompt-ids", "5", "--max-new-tokens", "1", "--max-context", "64", .. run]);

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
}
