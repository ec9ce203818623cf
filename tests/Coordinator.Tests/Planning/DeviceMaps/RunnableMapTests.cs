using TensorParallel.Coordinator.Planning;
using TensorParallel.Protocol.Parallel;
using Xunit;

namespace TensorParallel.Coordinator.Tests.Planning.DeviceMaps;

/// <summary>Which maps become plans, and why the others do not.</summary>
public sealed class RunnableMapTests
{
    [Fact]
    public void AMapInStages_RunsWithTheseStages()
    {
        var map = Make("llama-3.1-8b", "0=22GiB,1=22GiB", "auto");

        Assert.Equal("", map.Obstacle);
        Assert.Equal([new(0, 14), new(14, 32)], map.Plan!.Ranks.Select(rank => rank.Layers));
        Assert.Equal(["cuda:0", "cuda:1"], map.Plan.Ranks.Select(rank => rank.Device));
        Assert.Equal([new("0", 8_575_541_376), new("1", 23_622_320_128)], map.Plan.DeviceMapBudget!);
    }

    [Fact]
    public void DevicesThatHoldNothing_GetNoWorker()
    {
        var plan = Make("llama-3.1-8b", "0=22GiB,3=22GiB", "balanced_low_0").Plan!;

        var rank = Assert.Single(plan.Ranks);
        Assert.Equal(("cuda:3", true, true), (rank.Device, rank.HasEmbedding, rank.HasOutputHead));
        Assert.Equal([new("", "3")], plan.DeviceMap!);
        Assert.Equivalent(plan, PlanJson.Deserialize(PlanJson.Serialize(plan)), strict: true);
    }

    [Fact]
    public void ATiedHead_RunsAfterTheLastLayer()
    {
        var plan = Make("llama-3.2-1b", "0=24GiB,1=48GiB", "auto").Plan!;

        Assert.Equal("0", plan.DeviceMap!.Single(entry => entry.Key == "lm_head").Value);
        Assert.Equal([false, true], plan.Ranks.Select(rank => rank.HasOutputHead));
        Assert.Contains(
            "The map has lm_head on device 0 with model.embed_tokens, whose table it is; it runs on device 1, after the last layer, " +
            "with a copy.",
            plan.Notes);
    }

    [Fact]
    public void StagesMayStandInAnyOrderOfDevices()
    {
        var plan = Make(
            "llama-3.1-8b",
            "0=22GiB,1=22GiB,2=22GiB",
            """{ "model.embed_tokens": 2, "model.layers": 0, "model.norm": 0, "model.rotary_emb": 0, "lm_head": 1 }""").Plan!;

        Assert.Equal(["cuda:2", "cuda:0", "cuda:1"], plan.Ranks.Select(rank => rank.Device));
        Assert.Equal([0, 32, 0], plan.Ranks.Select(rank => rank.Layers.Length));
        Assert.Contains("The map has model.norm on device 0; it runs on device 1, with lm_head.", plan.Notes);
    }

    [Theory]
    [InlineData("llama-3.1-8b", "0=12GiB,cpu=64GiB", "auto", "for a slot that the others come through")]
    [InlineData("llama-3.1-8b", "0=30GiB", """{ "model.embed_tokens": 0, "model.layers": 0, "model.norm": "cpu", "lm_head": 0 }""", "leaves nothing but model.norm beside the devices")]
    [InlineData("llama-3.1-8b", "0=30GiB,1=30GiB", """{ "model.embed_tokens": 0, "model.layers": 1, "model.norm": 1, "lm_head": 0 }""", "comes back to device 0 (0 → 1 → 0 along the model)")]
    [InlineData("llama-3.2-1b", "0=30GiB,1=30GiB", "CUT", "cuts model.layers.0 between device 0 and device 1")]
    [InlineData("qwen3-4b", "0=30GiB", "auto", "Models of type qwen3 can be planned, but not run yet.")]
    [InlineData("mixtral-8x7b", "0=80GiB,1=80GiB", "fit", "Models of type mixtral can be planned, but not run yet.")]
    [InlineData("llama-3.1-8b", "0=22GiB,1=15GiB", "balanced_low_0", "Rank 0 (cuda:1) needs 15.0 GiB for weights")]
    public void OtherMaps_SayWhyNot(string model, string memory, string deviceMap, string expected)
    {
        var map = Make(model, memory, deviceMap == "CUT" ? CutLayer() : deviceMap);

        Assert.Null(map.Plan);
        Assert.Contains(expected, map.Obstacle, StringComparison.Ordinal);
        var run = EstimateCases.Request(model, memory, deviceMap == "CUT" ? CutLayer() : deviceMap);
        Assert.Equal(map.Obstacle, Assert.Throws<PlanException>(() => Planner.Plan(run)).Message);
    }

    [Fact]
    public void WithoutItsModules_AModelHasOnlyFit() => Assert.Contains(
        "use fit",
        Assert.Throws<PlanException>(() => Planner.Plan(
            PlanCases.OnCpus(PlanCases.Llama(), 2) with { UseDeviceMap = true, DeviceMap = "auto" })).Message,
        StringComparison.Ordinal);

    private static string CutLayer() => "{" + string.Join(
        ", ",
        Enumerable.Range(1, 15).Select(layer => $"\"model.layers.{layer}\": 1")
            .Prepend("\"model.layers.0.self_attn\": 0, \"model.layers.0.mlp\": 1, \"model.layers.0.input_layernorm\": 0, " +
                "\"model.layers.0.post_attention_layernorm\": 1, \"model.embed_tokens\": 0, \"lm_head\": 0, \"model.norm\": 1")) + "}";

    private static DeviceMapPlan Make(string model, string memory, string deviceMap) =>
        DeviceMapPlan.Make(EstimateCases.Request(model, memory, deviceMap), []);
}
