using System.Text.Json;
using TensorParallel.TestKit;

namespace TensorParallel.EndToEnd.Tests;

/// <summary><c>coordinator compare</c> runs both modes on the same devices and says whether they agree.</summary>
public class CompareCommandTests
{
    [Fact]
    public async Task BothModesAreMeasuredAndAgree()
    {
        using var folder = new TemporaryFolder();
        var page = folder.File("compare.md");
        var (exitCode, output, errors) = await CoordinatorProcess.RunAsync(
            "compare", "--prompt", "It was a truth", "-n", "16", "--repeat", "1", "--cpu-workers", "2", "--dtype", "float32",
            "--json", "--output", page);

        Assert.True(exitCode == 0, errors);
        using var json = JsonDocument.Parse(output);
        var root = json.RootElement;
        Assert.True(root.GetProperty("tokens_agree").GetBoolean());
        foreach (var mode in new[] { "tensor_parallel", "device_map" })
        {
            var measured = root.GetProperty(mode);
            Assert.Equal(mode, measured.GetProperty("mode").GetString());
            Assert.Equal(16, measured.GetProperty("token_ids")[0].GetArrayLength());
            Assert.True(measured.GetProperty("decode_tokens_per_s").GetDouble() > 0);
            Assert.True(measured.GetProperty("ttft_ms").GetDouble() > 0);
            Assert.True(measured.GetProperty("load_s").GetDouble() > 0);
            Assert.All(measured.GetProperty("peak_memory_bytes").EnumerateArray(), bytes => Assert.True(bytes.GetInt64() > 10_000_000));
        }

        var markdown = await File.ReadAllTextAsync(page, TestContext.Current.CancellationToken);
        Assert.Contains("| tokens agree | yes |", markdown, StringComparison.Ordinal);
        Assert.Contains("compare --prompt 'It was a truth'", markdown, StringComparison.Ordinal);
    }

    [Fact]
    public async Task WhereTensorParallelismIsNotPossibleItSaysWhyAndMeasuresTheDeviceMap()
    {
        var (exitCode, output, errors) = await CoordinatorProcess.RunAsync(
            "compare", "--prompt", "It was a truth", "-n", "4", "--repeat", "1", "--cpu-workers", "9", "--json");

        Assert.True(exitCode == 0, errors);
        using var json = JsonDocument.Parse(output);
        Assert.Equal(JsonValueKind.Null, json.RootElement.GetProperty("tensor_parallel").ValueKind);
        Assert.Contains("8", json.RootElement.GetProperty("fallback_reasons")[0].GetString(), StringComparison.Ordinal);
        Assert.Equal(9, json.RootElement.GetProperty("device_map").GetProperty("world_size").GetInt32());
    }
}
