using System.Text.Json;
using TensorParallel.TestKit;

namespace TensorParallel.EndToEnd.Tests;

/// <summary><c>coordinator generate</c> as a user runs it.</summary>
public class GenerateCommandTests
{
    private const string Beginning = "In the beginning";

    [Fact]
    public async Task WithoutAnOptionTheDemoModelStreamsText()
    {
        var (exitCode, output, errors) = await CoordinatorProcess.RunAsync("generate", "--prompt", Beginning, "-n", "24");

        Assert.True(exitCode == 0, errors);
        Assert.Matches(@"\w+ \w+", output);
        Assert.Contains("24 tokens on 2 workers (tensor_parallel)", errors, StringComparison.Ordinal);
    }

    [Fact]
    public async Task JsonIsTheOnlyThingOnStandardOutput()
    {
        var (exitCode, output, errors) = await CoordinatorProcess.RunAsync(
            "generate", "--prompt", "It was a truth", "--json", "--max-new-tokens", "8", "--logprobs", "3", "--cpu-workers", "1");

        Assert.True(exitCode == 0, errors);
        using var json = JsonDocument.Parse(output);
        var root = json.RootElement;
        Assert.Equal([0, 1493, 331, 263, 1594], root.GetProperty("prompt_ids").EnumerateArray().Select(id => id.GetInt32()));
        Assert.Equal(8, root.GetProperty("token_ids").GetArrayLength());
        Assert.Equal(" in the world, and a man who", root.GetProperty("text").GetString());
        Assert.Equal("length", root.GetProperty("finish_reason").GetString());
        Assert.Equal("tensor_parallel", root.GetProperty("plan").GetProperty("mode").GetString());
        Assert.Equal(1, root.GetProperty("plan").GetProperty("world_size").GetInt32());
        Assert.Equal(0, root.GetProperty("plan").GetProperty("fallback_reasons").GetArrayLength());
        Assert.True(root.GetProperty("timings").GetProperty("load_s").GetDouble() > 0);
        Assert.True(root.GetProperty("timings").GetProperty("ttft_ms").GetDouble() > 0);
        Assert.True(root.GetProperty("timings").GetProperty("decode_tokens_per_s").GetDouble() > 0);
        AssertGoldenLogProbs(root.GetProperty("logprobs"));
    }

    [Fact]
    public async Task AFolderWithoutTokenizerTakesIds()
    {
        var golden = GoldenRun.Load("llama", "float32")[1];
        var (exitCode, output, errors) = await CoordinatorProcess.RunAsync(
            "generate", "--model", RepositoryPaths.Golden("llama"), "--prompt-ids", string.Join(',', golden.PromptIds),
            "--dtype", "float32", "--min-new-tokens", "32", "--max-new-tokens", "32", "--json");

        Assert.True(exitCode == 0, errors);
        using var json = JsonDocument.Parse(output);
        Assert.Equal(JsonValueKind.Null, json.RootElement.GetProperty("text").ValueKind);
        Assert.Equal(golden.PromptIds, json.RootElement.GetProperty("prompt_ids").EnumerateArray().Select(id => id.GetInt32()));
        golden.AssertFollowedBy(
            [.. json.RootElement.GetProperty("token_ids").EnumerateArray().Select(id => id.GetInt32())], "generate");
    }

    [Fact]
    public async Task TheSameSeedGivesTheSameTextAtAnyNumberOfWorkers()
    {
        var texts = new List<string>();
        foreach (var layout in new[] { "--cpu-workers=1", "--cpu-workers=2", "--cpu-workers=3" })
        {
            var (exitCode, output, errors) = await CoordinatorProcess.RunAsync(
                "generate", "--prompt", Beginning, "--temperature", "0.8", "--top-p", "0.9", "--seed", "7", "-n", "32", "--dtype",
                "float32", layout);
            Assert.True(exitCode == 0, errors);
            texts.Add(output);
        }

        Assert.True(texts.Distinct().Count() == 1, string.Join("\n---\n", texts));
    }

    [Fact]
    public async Task AStopStringEndsTheTextBeforeIt()
    {
        var (exitCode, output, errors) = await CoordinatorProcess.RunAsync(
            "generate", "--prompt", "It was a truth", "--json", "--stop", ", and", "--max-new-tokens", "40");

        Assert.True(exitCode == 0, errors);
        using var json = JsonDocument.Parse(output);
        Assert.Equal(" in the world", json.RootElement.GetProperty("text").GetString());
        Assert.Equal("stop", json.RootElement.GetProperty("finish_reason").GetString());
    }

    [Fact]
    public async Task CtrlCEndsItWithoutLeavingAWorker()
    {
        await using var process = CoordinatorProcess.Start(
            "generate", "--prompt", Beginning, "--ignore-eos", "-n", "1900", "--cpu-workers", "2");
        await process.WaitForAsync(",");
        var workers = process.Workers();
        Assert.Equal(2, workers.Count);

        process.Signal(2);

        Assert.Equal(1, await process.WaitAsync());
        Assert.Contains("Interrupted.", process.Errors, StringComparison.Ordinal);
        Assert.DoesNotContain(workers, CoordinatorProcess.IsAlive);
    }

    private static void AssertGoldenLogProbs(JsonElement logProbs)
    {
        using var golden = JsonDocument.Parse(File.ReadAllText(Path.Combine(RepositoryPaths.DemoModel, "golden.json")));
        var reference = golden.RootElement[0].GetProperty("token_logprobs_fp32").EnumerateArray().Select(v => v.GetSingle()).ToList();

        // The reference scores every token after the first: four of the prompt's five come before the generated ones.
        for (var step = 0; step < 8; step++)
        {
            var entry = logProbs[step];
            Assert.Equal(reference[4 + step], entry.GetProperty("logprob").GetSingle(), 0.1f);
            Assert.Equal(3, entry.GetProperty("top").GetArrayLength());
            Assert.Equal(entry.GetProperty("token_id").GetInt32(), entry.GetProperty("top")[0].GetProperty("token_id").GetInt32());
        }
    }
}
