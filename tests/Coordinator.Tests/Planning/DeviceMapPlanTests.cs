using TensorParallel.Coordinator.Planning;
using TensorParallel.Protocol.Parallel;
using Xunit;

namespace TensorParallel.Coordinator.Tests.Planning;

public sealed class DeviceMapPlanTests
{
    private static ExecutionPlan Plan(int layers, int ranks, bool tied = false) => Planner.Plan(
        PlanCases.OnCpus(PlanCases.Llama(layers: layers, tied: tied), ranks) with { UseDeviceMap = true });

    [Fact]
    public void EqualLayers_TheRemainderToTheEarlierStages()
    {
        var plan = Plan(layers: 8, ranks: 3);

        Assert.Equal(PlanMode.DeviceMap, plan.Mode);
        Assert.Empty(plan.FallbackReasons);
        Assert.Equal([new(0, 3), new(3, 6), new(6, 8)], plan.Ranks.Select(rank => rank.Layers));
        Assert.Equal([true, false, false], plan.Ranks.Select(rank => rank.HasEmbedding));
        Assert.Equal([false, false, true], plan.Ranks.Select(rank => rank.HasOutputHead));
        Assert.Equal(
            "model.embed_tokens=0 model.layers.0=0 model.layers.1=0 model.layers.2=0 model.layers.3=1 " +
            "model.layers.4=1 model.layers.5=1 model.layers.6=2 model.layers.7=2 model.norm=2 lm_head=2",
            string.Join(' ', plan.DeviceMap!.Select(entry => $"{entry.Key}={entry.Value}")));
        Assert.All(
            plan.Ranks.SelectMany(rank => rank.Tensors),
            slice => Assert.Equal((null, "replicate"), (slice.Dim, slice.Style)));
    }

    [Fact]
    public void MoreStagesThanLayers_TheNextHoldsNormAndHead_TheOthersNothing()
    {
        var plan = Plan(layers: 2, ranks: 5);

        Assert.Equal([1, 1, 0, 0, 0], plan.Ranks.Select(rank => rank.Layers.Length));
        Assert.Equal(["model.norm.weight", "lm_head.weight"], plan.Ranks[2].Tensors.Select(slice => slice.Name));
        Assert.True(plan.Ranks[2].HasOutputHead);
        Assert.All(plan.Ranks.Skip(3), rank =>
        {
            Assert.Empty(rank.Tensors);
            Assert.Equal((0, 0, 0), (rank.WeightBytes, rank.KvBytes, rank.WorkspaceBytes));
            Assert.Equal(0, rank.KeyValueHeads.Length);
        });
        Assert.Equal(0, plan.Ranks[2].KvBytes);
        Assert.Contains("2 layers fill 2 of 5 ranks; rank 2 holds norm and head, ranks 3, 4 nothing.", plan.Notes);
    }

    [Fact]
    public void TiedHead_IsCopiedToTheLastStage_AndCounted()
    {
        var plan = Plan(layers: 2, ranks: 2, tied: true);

        var table = plan.Slice(1, "model.embed_tokens.weight");
        Assert.Equal(256 * 64 * 2, table.Bytes);
        Assert.Equal(plan.Ranks[0].WeightBytes + (64 * 2), plan.Ranks[1].WeightBytes);
        Assert.Contains("lm_head is the table of model.embed_tokens: rank 0 and rank 1 each hold a copy.", plan.Notes);
    }

    [Fact]
    public void TiedHead_OnOneRank_IsHeldOnce()
    {
        var plan = Plan(layers: 2, ranks: 1, tied: true);

        Assert.Single(plan.Ranks[0].Tensors, slice => slice.Name == "model.embed_tokens.weight");
        Assert.Empty(plan.Notes);
    }

    [Fact]
    public void EveryTensor_IsOnExactlyOneRank()
    {
        var plan = Plan(layers: 7, ranks: 4);

        var names = plan.Ranks.SelectMany(rank => rank.Tensors.Select(slice => slice.Name)).ToList();
        Assert.Equal(3 + (7 * 9), names.Count);
        Assert.Equal(names.Count, names.Distinct().Count());
    }
}
