using System.Text.Json.Nodes;
using TensorParallel.TestKit;

namespace TensorParallel.EndToEnd.Tests;

/// <summary>Overflow and offloading as <c>plan</c> and <c>estimate</c> show them: no worker runs.</summary>
public class OffloadPlanCommandTests
{
    private static readonly string s_model = Path.Combine(RepositoryPaths.Golden("device_maps"), "config_llama-3.1-8b.json");

    [Theory]
    [InlineData("--gpus", "0", "--max-memory", "0=8GiB,cpu=64GiB")]
    [InlineData("--device-map", "fit", "--max-memory", "0=8GiB,cpu=64GiB")]
    [InlineData("--device-map", "auto", "--max-memory", "0=8GiB,cpu=64GiB")]
    [InlineData("--gpus", "0,1", "--offload", "sequential")]
    public async Task PeopleSeeWhatIsBesideTheDevices(params string[] options)
    {
        var (exitCode, output, errors) = await CoordinatorProcess.RunAsync(["plan", "--model", s_model, "--dtype", "bfloat16", .. options]);

        Assert.Equal((0, ""), (exitCode, errors));
        Assert.Contains("Slots", output, StringComparison.Ordinal);
        Assert.Contains("Bus a step", output, StringComparison.Ordinal);
        Assert.Contains("they come to the device by", output.ReplaceLineEndings(" "), StringComparison.Ordinal);
    }

    [Fact]
    public async Task TheJsonHasIt_WithTheKindThatWasAsked()
    {
        var (exitCode, output, _) = await CoordinatorProcess.RunAsync(
            "plan", "--model", s_model, "--json", "--max-memory", "0=6GiB,1=6GiB,cpu=2GiB,disk=64GiB", "--offload", "group",
            "--blocks-per-group", "2", "--offload-slots", "3");

        Assert.Equal(0, exitCode);
        foreach (var rank in JsonNode.Parse(output)!["ranks"]!.AsArray())
        {
            var offload = rank!["offload"]!;
            Assert.Equal(("group", 2, 3), ((string?)offload["kind"], (int)offload["blocks_per_group"]!, (int)offload["slots"]!));
            var used = (long)rank["weight_bytes"]! + (long)rank["kv_bytes"]! + (long)rank["workspace_bytes"]!
                + ((long)offload["slots"]! * (long)offload["slot_bytes"]!);
            Assert.InRange(used, 1, 6L << 30);
            Assert.Equal(6L << 30, (long)rank["budget_bytes"]!);
        }
    }

    [Fact]
    public async Task AnEstimateOffloadsAsAPlanDoes()
    {
        var (exitCode, output, errors) = await CoordinatorProcess.RunAsync("estimate", "--model", s_model, "--offload", "sequential");

        Assert.Equal((0, ""), (exitCode, errors));
        Assert.Contains("Slots", output, StringComparison.Ordinal);
        Assert.Contains("what comes to it over the bus a token", output.ReplaceLineEndings(" "), StringComparison.Ordinal);
    }

    [Fact]
    public async Task AnEstimateSaysWhatComesOverTheBus()
    {
        var (exitCode, output, _) = await CoordinatorProcess.RunAsync("estimate", "--model", s_model, "--max-memory", "0=8GiB,cpu=64GiB");

        Assert.Equal(0, exitCode);
        Assert.Contains("Given memory, tensor parallel: fits", output, StringComparison.Ordinal);
        Assert.Contains("a token takes at least", output.ReplaceLineEndings(" "), StringComparison.Ordinal);
    }
}
