using System.Text.Json;
using TensorParallel.TestKit;

namespace TensorParallel.EndToEnd.Tests;

/// <summary><c>coordinator bench</c>, and models of random weights that have nothing but a config.json.</summary>
public class BenchCommandTests
{
    private const string Config = """
        {
          "model_type": "llama", "num_hidden_layers": 3, "hidden_size": 96, "num_attention_heads": 6, "num_key_value_heads": 3,
          "head_dim": 16, "intermediate_size": 200, "vocab_size": 331, "max_position_embeddings": 512, "dtype": "bfloat16"
        }
        """;

    [Fact]
    public async Task BothModesAreMeasuredAndWrittenAsJson()
    {
        using var folder = new TemporaryFolder();
        var (config, file) = (Write(folder), folder.File("bench.json"));

        var (exitCode, output, errors) = await CoordinatorProcess.RunAsync(
            "bench", "--weights", "random", "--model", config, "--prompt-tokens", "24", "--new-tokens", "8", "--batch", "1,3", "--runs", "2",
            "--cpu-workers", "2", "--threads", "2", "--compare", "device-map", "--profile", "--json", file);

        Assert.True(exitCode == 0, errors);
        Assert.Contains("== tensor_parallel on 2", output, StringComparison.Ordinal);
        Assert.Contains("== tensor_parallel against device_map in 2 micro-batches, same devices", output, StringComparison.Ordinal);
        using var json = JsonDocument.Parse(await File.ReadAllTextAsync(file, TestContext.Current.CancellationToken));
        var modes = json.RootElement.GetProperty("modes");
        Assert.Equal(["tensor_parallel", "device_map"], modes.EnumerateArray().Select(mode => mode.GetProperty("mode").GetString()!));
        Assert.All(modes.EnumerateArray(), CheckMode);
        Assert.True(modes[0].GetProperty("all_reduce").GetArrayLength() > 2);
        Assert.Contains("--batch 1,3", json.RootElement.GetProperty("command_line").GetString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task ADeviceMapIsMeasuredWithAndWithoutMicroBatches()
    {
        using var folder = new TemporaryFolder();
        var (exitCode, output, errors) = await CoordinatorProcess.RunAsync(
            "bench", "--weights", "random", "--model", Write(folder), "--prompt-tokens", "300", "--new-tokens", "4", "--batch", "4", "--runs", "1",
            "--cpu-workers", "3", "--threads", "3", "--device-map", "--compare", "unpipelined", "--read-bandwidth", "10", "--json");

        Assert.True(exitCode == 0, errors);
        using var json = JsonDocument.Parse(output);
        var modes = json.RootElement.GetProperty("modes");
        Assert.Equal([3, 1], modes.EnumerateArray().Select(mode => mode.GetProperty("micro_batches").GetInt32()));
        var bytes = modes.EnumerateArray().Select(mode => mode.GetProperty("cells")[0].GetProperty("bytes_per_step").GetInt64()).ToArray();
        Assert.InRange(bytes[0], bytes[1], 3 * bytes[1]);
    }

    [Fact]
    public async Task ACheckpointIsMeasuredAtTheReadingRateGiven()
    {
        var (exitCode, output, errors) = await CoordinatorProcess.RunAsync(
            "bench", "--prompt-tokens", "16", "--new-tokens", "4", "--runs", "1", "--cpu-workers", "1", "--read-bandwidth", "50", "--json");

        Assert.True(exitCode == 0, errors);
        using var json = JsonDocument.Parse(output);
        var mode = json.RootElement.GetProperty("modes")[0];
        Assert.Equal("given", mode.GetProperty("read_rate_source").GetString());
        Assert.Equal(50, mode.GetProperty("read_gigabytes_per_second")[0].GetDouble());
        Assert.True(mode.GetProperty("bytes_read").GetInt64() > 10_000_000);
        Assert.Equal("checkpoint", json.RootElement.GetProperty("weights").GetString());
        var cell = mode.GetProperty("cells")[0];
        Assert.Equal(
            cell.GetProperty("bytes_per_step").GetInt64() / 50e9 * 1000 / cell.GetProperty("decode_ms_per_token").GetDouble(),
            cell.GetProperty("memory_utilisation").GetDouble(),
            9);
    }

    [Fact]
    public async Task RandomWeightsGiveTheSameTokensOnAnyNumberOfWorkers()
    {
        using var folder = new TemporaryFolder();
        var config = Write(folder);
        var seen = new List<string>();
        foreach (var devices in (string[][])[["1"], ["2"], ["3"], ["2", "--device-map"], ["3", "--device-map"]])
        {
            var (exitCode, output, errors) = await CoordinatorProcess.RunAsync([
                "generate", "--weights", "random", "--model", config, "--dtype", "float32", "--prompt-ids", "5,6,300", "-n", "24", "--json",
                "--cpu-workers", .. devices]);

            Assert.True(exitCode == 0, errors);
            using var json = JsonDocument.Parse(output);
            seen.Add(string.Join(' ', json.RootElement.GetProperty("token_ids").EnumerateArray()));
        }

        Assert.Equal(24, seen[0].Split(' ').Length);
        Assert.Single(seen.Distinct());
    }

    private static void CheckMode(JsonElement mode)
    {
        Assert.Equal(2, mode.GetProperty("cells").GetArrayLength());
        foreach (var cell in mode.GetProperty("cells").EnumerateArray())
        {
            foreach (var figure in (string[])["ttft_ms", "prompt_tokens_per_second", "decode_ms_per_token", "tokens_per_second", "memory_utilisation"])
            {
                Assert.True(cell.GetProperty(figure).GetDouble() > 0, figure);
            }

            Assert.Equal(2, cell.GetProperty("decode_ms_runs").GetArrayLength());
        }

        var parts = mode.GetProperty("start").EnumerateArray().Select(part => part.GetProperty("name").GetString()!).ToList();
        string[] known = ["processes", "process", "device", "kernels", "collective", "model", "weights", "first token", "all"];
        Assert.Equal(known.Order(), parts.SkipWhile(name => name != "processes").SkipLast(1).Order());
        Assert.All(mode.GetProperty("read_gigabytes_per_second").EnumerateArray(), rate => Assert.True(rate.GetDouble() > 0.1));
        Assert.Equal(0, mode.GetProperty("bytes_read").GetInt64());
        var operations = mode.GetProperty("operations").EnumerateArray()
            .Where(operation => operation.GetProperty("phase").GetString() == "decode" && operation.GetProperty("batch").GetInt32() == 3)
            .ToDictionary(operation => operation.GetProperty("name").GetString()!, operation => operation.GetProperty("calls_per_step").GetDouble());
        Assert.Equal(3, operations["q_proj+k_proj+v_proj"]);
        Assert.Equal(3, operations["attention"]);
        Assert.Equal(1, operations["lm_head"]);
        Assert.Contains("step", operations.Keys);
    }

    private static string Write(TemporaryFolder folder)
    {
        var path = folder.File("tiny.json");
        File.WriteAllText(path, Config);
        return path;
    }
}
