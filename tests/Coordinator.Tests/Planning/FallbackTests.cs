using System.Text.Json;
using TensorParallel.Coordinator.Planning;
using TensorParallel.Protocol.Parallel;
using Xunit;

namespace TensorParallel.Coordinator.Tests.Planning;

public sealed class FallbackTests
{
    private const string NothingCut =
        "The tp plan cuts nothing: every rank would hold and compute the whole model; name the projections of " +
        "attention and MLP in it, or use \"auto\".";

    [Fact]
    public void MoreRanksThanQueryHeads_BecomesADeviceMap()
    {
        var plan = Planner.Plan(PlanCases.OnCpus(PlanCases.Llama(layers: 4, heads: 8, kvHeads: 2), 9));

        Assert.Equal(PlanMode.DeviceMap, plan.Mode);
        Assert.Equal(9, plan.WorldSize);
        Assert.Equal(["8 query heads cannot be cut over 9 ranks; use at most 8."], plan.FallbackReasons);
        Assert.NotNull(plan.DeviceMap);
    }

    [Fact]
    public void EveryDimensionThatIsTooSmall_IsAReason()
    {
        var spec = PlanCases.Llama(heads: 4, kvHeads: 1, intermediate: 3, vocabulary: 2);

        var plan = Planner.Plan(PlanCases.OnCpus(spec, 5));

        Assert.Equal(
            [
                "4 query heads cannot be cut over 5 ranks; use at most 4.",
                "3 MLP columns cannot be cut over 5 ranks; use at most 3.",
                "2 tokens of the vocabulary cannot be cut over 5 ranks; use at most 2.",
            ],
            plan.FallbackReasons);
    }

    [Fact]
    public void AnArchitectureWithoutAPlan_BecomesADeviceMap()
    {
        var spec = PlanCases.Llama() with { BaseTpPlan = null };

        Assert.Equal(
            ["The architecture llama has no tensor-parallel plan of its own; give one with --tp-plan."],
            Planner.Plan(PlanCases.OnCpus(spec, 2)).FallbackReasons);
    }

    [Fact]
    public void AFamilysPlanThatCutsNothing_BecomesADeviceMap()
    {
        var spec = PlanCases.Llama() with { BaseTpPlan = [new("lm_head", "replicate")] };

        var plan = Planner.Plan(PlanCases.OnCpus(spec, 2));

        Assert.Equal((PlanMode.DeviceMap, NothingCut), (plan.Mode, Assert.Single(plan.FallbackReasons)));
    }

    [Fact]
    public void DevicesOfTwoKinds_BecomeADeviceMap()
    {
        var request = PlanCases.OnCpus(PlanCases.Llama(), 1) with { Devices = [new("cpu:0"), new("cuda:0")] };

        Assert.Equal(
            ["No collective joins devices of different kinds (cpu, cuda); give devices of one kind."],
            Planner.Plan(request).FallbackReasons);
    }

    [Theory]
    [InlineData("{ \"lm_head\": \"replicate\" }", 2, NothingCut)]
    [InlineData(
        "{ \"layers.*.mlp.down_proj\": \"rowwise\" }",
        2,
        "layers.*.mlp.down_proj: rowwise takes rows cut by columns, but it is fed with whole ones; use " +
        "rowwise_split_input, or colwise on the layers before it.")]
    [InlineData(
        "{ \"lm_head\": \"colwise\" }", 300,
        "256 tokens of the vocabulary cannot be cut over 300 ranks; use at most 256.")]
    public void ACustomPlanThatCannotBeHonoured_IsAnError_UnlessFallbackIsAllowed(
        string tpPlan, int ranks, string expected)
    {
        var request = PlanCases.OnCpus(PlanCases.Llama(), ranks) with { TpPlan = tpPlan };

        var exception = Assert.Throws<PlanException>(() => Planner.Plan(request));
        var fallback = Planner.Plan(request with { AllowFallback = true });

        Assert.Contains(expected, exception.Problems);
        Assert.Equal(exception.Problems, fallback.FallbackReasons);
        Assert.Equal(PlanMode.DeviceMap, fallback.Mode);
    }

    [Theory]
    [InlineData("{ \"layers.*.mlp.up\": \"colwise\" }")]
    [InlineData("{ \"layers.*.mlp.up_proj\": \"diagonal\" }")]
    [InlineData("{ nonsense")]
    public void MistakesInTheText_AreErrorsEvenThen(string tpPlan) => Assert.Throws<PlanException>(() => Planner.Plan(
        PlanCases.OnCpus(PlanCases.Llama(), 2) with { TpPlan = tpPlan, AllowFallback = true }));

    [Fact]
    public void SeveralProblems_AreOneMessage()
    {
        var request = PlanCases.OnCpus(PlanCases.Llama(), 300) with
        {
            TpPlan = """{ "lm_head": "colwise", "x": "colwise" }""",
        };

        Assert.Equal(
            string.Join(
                Environment.NewLine,
                "2 problems with the plan:",
                "- \"x\" names nothing in this model; write the path of a linear layer or of the embedding, with * " +
                "for the layer number.",
                "- 256 tokens of the vocabulary cannot be cut over 300 ranks; use at most 256."),
            Assert.Throws<PlanException>(() => Planner.Plan(request)).Message);
    }

    [Fact]
    public void DevicesThemselves_AreChecked()
    {
        var request = PlanCases.OnCpus(PlanCases.Llama(), 1);
        var twice = request with { Devices = [new("cuda:1"), new("cuda:1")] };

        Assert.Equal(
            "There is no device to plan for; give --gpus or --cpu-workers.",
            Assert.Throws<PlanException>(() => Planner.Plan(request with { Devices = [] })).Message);
        Assert.Equal(
            "The device cuda:1 is given 2 times; each rank needs one of its own.",
            Assert.Throws<PlanException>(() => Planner.Plan(twice)).Message);
    }

    [Fact]
    public void ACustomPlan_MayCutDifferentlyInOneLayer()
    {
        var spec = PlanCases.Llama(layers: 3);
        var tpPlan = new Dictionary<string, string>(spec.BaseTpPlan!)
        {
            ["layers.1.self_attn.q_proj"] = "replicate",
            ["layers.1.self_attn.k_proj"] = "replicate",
            ["layers.1.self_attn.v_proj"] = "colwise_rep",
            ["layers.1.self_attn.o_proj"] = "rowwise_rep",
        };

        var plan = Planner.Plan(PlanCases.OnCpus(spec, 2) with { TpPlan = JsonSerializer.Serialize(tpPlan) });

        var slices = plan.Ranks[1].Tensors.ToDictionary(slice => slice.Name);
        var layouts = spec.Blocks.Select(block => BlockLayout.Of(block, slices)).ToList();
        Assert.Equal([new(4, 8), new(0, 8), new(4, 8)], layouts.Select(layout => layout.QueryHeads));
        Assert.Equal([new(1, 2), new(0, 2), new(1, 2)], layouts.Select(layout => layout.KeyValueHeads));
        Assert.Equal([0, 64, 0], layouts.Select(layout => layout.GatherColumns));
        Assert.Equal([new IndexRange(256, 512)], plan.Slice(1, "model.layers.1.self_attn.o_proj.weight").Ranges);

        // One layer keeps both KV heads: 4 heads of 64 in all, keys and values, bf16.
        Assert.Equal(plan.Limits.KvBlocks * 16L * 4 * 64 * 2 * 2, plan.Ranks[1].KvBytes);
    }
}
