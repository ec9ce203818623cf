using System.Text.Json.Nodes;
using TensorParallel.Coordinator.Hosting;
using TensorParallel.Coordinator.Planning.Offloading;
using TensorParallel.Protocol.Parallel;

namespace TensorParallel.EndToEnd.Tests;

/// <summary>
/// Models larger than their devices' budgets: tokens are those of the run in which everything is on the devices, and no worker
/// allocates more than its budget.
/// </summary>
public class OffloadRunTests
{
    private static readonly string[] s_generate =
    [
        "generate", "--prompt", "In the beginning", "--max-new-tokens", "24", "--temperature", "0", "--json", "--max-context", "128",
        "--max-step-tokens", "16", "--max-sequences", "2",
    ];

    private static readonly Lazy<Task<string>> s_plainText = new(async () => TextOf(await CoordinatorProcess.RunAsync(
        [.. s_generate, "--cpu-workers", "1"])));

    public static TheoryData<string> Runs { get; } =
    [
        "--cpu-workers 2 --max-memory 0=6MiB,1=7MiB,cpu=1GiB",
        "--cpu-workers 2 --max-memory 0=6MiB,1=7MiB,cpu=2MiB,disk=1GiB --offload group --blocks-per-group 2",
        "--cpu-workers 2 --max-memory 0=4MiB,1=4MiB,disk=1GiB --offload sequential",
        "--cpu-workers 2 --offload model",
        "--cpu-workers 1 --offload group --offload-slots 3",
        "--cpu-workers 2 --device-map fit --max-memory 0=6MiB,1=8MiB,cpu=1GiB",
        "--cpu-workers 1 --device-map auto --max-memory 0=11.2MiB,cpu=4MiB,disk=1GiB",
        "--cpu-workers 2 --device-map {\"model.embed_tokens\":\"cpu\",\"model.layers\":\"disk\",\"model.norm\":1,\"model.rotary_emb\":1,\"lm_head\":1} "
            + "--max-memory 0=64MiB,1=64MiB,cpu=64MiB",
    ];

    [Theory]
    [MemberData(nameof(Runs))]
    public async Task TokensAreThoseOfThePlainRun(string options)
    {
        var offloaded = await CoordinatorProcess.RunAsync([.. s_generate, .. options.Split(' ')]);

        Assert.Equal(await s_plainText.Value, TextOf(offloaded));
        Assert.Contains("off the device", offloaded.Errors, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("llama", "float32", 2, false, "group", null)]
    [InlineData("llama_bias", "float32", 3, false, "sequential", null)]
    [InlineData("llama_tied_hd64", "bfloat16", 2, false, "model", null)]
    [InlineData("llama", "bfloat16", 2, true, "group", 2)]
    [InlineData("demo", "bfloat16", 2, true, "model", null)]
    public async Task GoldensAreFollowed(string family, string dtype, int workers, bool useDeviceMap, string kind, int? blocks)
    {
        var arguments = new ModelArguments
        {
            Model = GoldenRun.Folder(family),
            CpuWorkers = workers,
            DeviceMap = useDeviceMap ? "fit" : null,
            DType = dtype,
            MaxContext = 256,
            Offload = new OffloadRequest(OffloadKindNames.Find(kind), blocks),
        };

        var model = await GoldenMatrixTests.AssertFollowedAsync(arguments, family, dtype);

        Assert.All(model.Plan.Ranks, rank => Assert.NotNull(rank.Offload));
    }

    private static string TextOf((int ExitCode, string Output, string Errors) run)
    {
        Assert.True(run.ExitCode == 0, run.Errors);
        return (string)JsonNode.Parse(run.Output)!["text"]!;
    }
}
