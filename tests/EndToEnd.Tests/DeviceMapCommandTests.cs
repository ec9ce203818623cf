using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using TensorParallel.TestKit;

namespace TensorParallel.EndToEnd.Tests;

/// <summary>Device maps, budgets and estimates as a user sees them.</summary>
public class DeviceMapCommandTests
{
    private static readonly string s_configs = RepositoryPaths.Golden("device_maps");

    [Theory]
    [InlineData("llama-3.1-8b", "0=22GiB,1=22GiB", "auto")]
    [InlineData("llama-3.2-1b", "0=1GiB,1=1GiB,cpu=2GiB", "sequential")]
    [InlineData("mixtral-8x7b", "0=1GiB,1=1GiB,cpu=2GiB", "balanced_low_0")]
    [InlineData("gemma2-9b", "0=12GiB,cpu=4GiB", "auto")]
    [InlineData("qwen2.5-7b", "0=5GiB,1=5GiB,2=5GiB,3=5GiB,cpu=64GiB", "balanced_low_0")]
    public async Task PlansOfAcceleratesStrategiesAreItsMaps(string model, string maxMemory, string strategy)
    {
        var golden = JsonNode.Parse(await File.ReadAllTextAsync(Path.Combine(s_configs, "cases.json"), TestContext.Current.CancellationToken))!["cases"]!
            .AsArray()
            .Single(entry => (string)entry!["model"]! == model && (string)entry["strategy"]! == strategy
                && string.Join(',', entry["max_memory_gib"]!.AsObject().Select(place => $"{place.Key}={place.Value}GiB")) == maxMemory)!;

        var (exitCode, output, errors) = await CoordinatorProcess.RunAsync(
            "plan", "--model", Path.Combine(s_configs, $"config_{model}.json"), "--device-map", strategy, "--max-memory", maxMemory, "--dtype", "bfloat16", "--json");

        Assert.Equal((0, ""), (exitCode, errors));
        var plan = JsonNode.Parse(output)!;
        Assert.Equal(Sorted(golden["device_map"]!), Sorted(plan["device_map"]!));
        Assert.Equal(Sorted(golden["budget_bytes"]!), Sorted(plan["device_map_budget"]!));
    }

    [Theory]
    [InlineData("auto", "0=64MiB,1=64MiB", 2)]
    [InlineData("balanced_low_0", "0=64MiB,1=64MiB", 1)]
    [InlineData("fit", "0=64MiB,1=32MiB", 2)]
    [InlineData("""{"model.embed_tokens": 1, "model.layers": 1, "model.norm": 0, "model.rotary_emb": 1, "lm_head": 0}""", "0=64MiB,1=64MiB", 2)]
    public async Task MapsInStagesGiveTheTextOfThePlainRun(string deviceMap, string maxMemory, int workers)
    {
        string[] generate = ["generate", "--prompt", "In the beginning", "--max-new-tokens", "24", "--temperature", "0", "--json"];
        var plain = await CoordinatorProcess.RunAsync([.. generate, "--cpu-workers", "1"]);
        var mapped = await CoordinatorProcess.RunAsync(
            [.. generate, "--cpu-workers", "2", "--device-map", deviceMap, "--max-memory", maxMemory, "--max-sequences", "1"]);

        Assert.True(mapped.ExitCode == 0, mapped.Errors);
        var report = JsonNode.Parse(mapped.Output)!;
        Assert.Equal((string)JsonNode.Parse(plain.Output)!["text"]!, (string)report["text"]!);
        Assert.Equal(workers, (int)report["plan"]!["world_size"]!);
        foreach (var rank in report["plan"]!["ranks"]!.AsArray())
        {
            var number = ((string)rank!["device"]!).Split(':')[1];
            var budget = long.Parse(maxMemory.Split(',')[int.Parse(number, CultureInfo.InvariantCulture)].Split('=')[1][..^3], CultureInfo.InvariantCulture) << 20;
            Assert.InRange((long)rank["weight_bytes"]! + (long)rank["kv_bytes"]! + (long)rank["workspace_bytes"]!, 1, budget);
        }
    }

    [Fact]
    public async Task PeopleSeeTheMapAndWhyItIsNotRun()
    {
        var (exitCode, output, _) = await CoordinatorProcess.RunAsync(
            "plan", "--model", Path.Combine(s_configs, "config_qwen3-4b.json"), "--device-map", "auto", "--max-memory", "0=5GiB,cpu=64GiB");

        Assert.Equal(0, exitCode);
        Assert.Contains("Device map by auto:", output, StringComparison.Ordinal);
        Assert.Contains("model.embed_tokens, model.layers.{0–", output, StringComparison.Ordinal);
        Assert.Contains("This map is not run: Models of type qwen3 can be planned, but not run yet.", output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task EstimatesAreTablesAndJson()
    {
        string[] estimate = ["estimate", "--model", Path.Combine(s_configs, "config_llama-3.1-8b.json"), "--max-memory", "0=12GiB,1=12GiB", "--batch", "4"];
        var people = await CoordinatorProcess.RunAsync(estimate);
        var json = await CoordinatorProcess.RunAsync([.. estimate, "--json"]);

        Assert.Equal((0, 0), (people.ExitCode, json.ExitCode));
        Assert.Contains("8.03 billion parameters", people.Output, StringComparison.Ordinal);
        Assert.Contains("Given memory, tensor parallel: fits with 4 sequences of 2048 tokens.", people.Output, StringComparison.Ordinal);
        var root = JsonNode.Parse(json.Output)!;
        Assert.Equal(16_060_522_496, (long)root["weight_bytes"]!);
        Assert.Equal(["tensor_parallel", "device_map"], root["given"]!.AsArray().Select(spread => (string)spread!["mode"]!));
        Assert.All(root["given"]!.AsArray(), spread => Assert.True((bool)spread!["fits"]!));
    }

    /// <summary>
    /// The plan is longer than a pipe holds: once its first byte has come, everything is computed and the process waits for
    /// its reader, so that its peak can be read.
    /// </summary>
    [Theory]
    [InlineData("--gpus", "0,1,2,3,4,5,6,7")]
    [InlineData("--device-map", "fit")]
    public async Task FourHundredBillionParametersArePlannedInLittleMemory(string option, string value)
    {
        string[] arguments =
        [
            "plan", "--model", Path.Combine(RepositoryPaths.Golden("configs"), "llama-3.1-405b.json"), "--json", option, value,
            "--max-memory", string.Join(',', Enumerable.Range(0, 8).Select(number => $"{number}=141GiB")),
        ];
        using var process = Process.Start(new ProcessStartInfo("dotnet", [RepositoryPaths.CoordinatorDll, .. arguments])
        {
            RedirectStandardOutput = true,
        })!;
        var first = new byte[1];
        await process.StandardOutput.BaseStream.ReadExactlyAsync(first, TestContext.Current.CancellationToken);
        var peak = (await File.ReadAllLinesAsync($"/proc/{process.Id}/status", TestContext.Current.CancellationToken))
            .Single(line => line.StartsWith("VmHWM:", StringComparison.Ordinal))
            .Split(':', StringSplitOptions.TrimEntries)[1];
        var json = "{" + await process.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken);
        await process.WaitForExitAsync(TestContext.Current.CancellationToken);

        TestContext.Current.SendDiagnosticMessage("405B by {0}: peak {1}", option, peak);
        Assert.Equal(0, process.ExitCode);
        Assert.InRange(int.Parse(peak.Split(' ')[0], CultureInfo.InvariantCulture), 1, 200 * 1024);
        using var plan = JsonDocument.Parse(json);
        Assert.Equal(8, plan.RootElement.GetProperty("world_size").GetInt32());
    }

    private static List<string> Sorted(JsonNode map) => [.. map.AsObject().Select(entry => $"{entry.Key}={entry.Value}").Order(StringComparer.Ordinal)];
}
