using TensorParallel.Coordinator.Planning;
using TensorParallel.Protocol.Architectures;
using TensorParallel.Protocol.Parallel;
using Xunit;

namespace TensorParallel.Coordinator.Tests.Planning;

public sealed class TensorParallelPlanTests
{
    [Fact]
    public void UnevenHeads_AreCutWhole_EarlierRanksGetMore()
    {
        var plan = Planner.Plan(PlanCases.OnCpus(PlanCases.Llama(heads: 8, kvHeads: 2), 3));

        Assert.Equal(PlanMode.TensorParallel, plan.Mode);
        Assert.Equal([new(0, 3), new(3, 6), new(6, 8)], plan.Ranks.Select(rank => rank.QueryHeads));
        Assert.Equal([new(0, 1), new(0, 2), new(1, 2)], plan.Ranks.Select(rank => rank.KeyValueHeads));
        var slice = plan.Slice(1, "model.layers.0.self_attn.q_proj.weight");
        Assert.Equal((0, "colwise"), (slice.Dim, slice.Style));
        Assert.Equal([new IndexRange(192, 384)], slice.Ranges);
        Assert.Equal([new IndexRange(384, 512)], plan.Slice(2, "model.layers.1.self_attn.o_proj.weight").Ranges);
        Assert.Contains("8 query heads do not divide by 3 ranks: 3, 3, 2; a head is never cut.", plan.Notes);
        Assert.Contains("176 MLP columns are cut in units of 16: 64, 64, 48.", plan.Notes);
    }

    [Theory]
    [InlineData(12, 3, 2, "0-1 1-2")]
    [InlineData(8, 2, 4, "0-0 0-0 1-1 1-1")]
    [InlineData(8, 8, 3, "0-2 3-5 6-7")]
    [InlineData(8, 1, 8, "0-0 0-0 0-0 0-0 0-0 0-0 0-0 0-0")]
    public void KeyValueHeads_FollowTheQueryHeads(int heads, int kvHeads, int ranks, string expected)
    {
        var plan = Planner.Plan(PlanCases.OnCpus(PlanCases.Llama(heads: heads, kvHeads: kvHeads), ranks));

        var held = plan.Ranks.Select(rank => $"{rank.KeyValueHeads.Start}-{rank.KeyValueHeads.End - 1}");
        Assert.Equal(expected, string.Join(' ', held));
        foreach (var rank in plan.Ranks)
        {
            var columns = new IndexRange(rank.KeyValueHeads.Start * 64, rank.KeyValueHeads.End * 64);
            Assert.Equal([columns], plan.Slice(rank.Rank, "model.layers.1.self_attn.k_proj.weight").Ranges);
            Assert.Equal([columns], plan.Slice(rank.Rank, "model.layers.1.self_attn.v_proj.weight").Ranges);
        }
    }

    [Fact]
    public void Biases_FollowCutRows_AndStayWholeBesideCutColumns()
    {
        var plan = Planner.Plan(PlanCases.OnCpus(PlanCases.Llama(attentionBias: true, mlpBias: true), 2));

        Assert.Equal([new IndexRange(256, 512)], plan.Slice(1, "model.layers.0.self_attn.q_proj.bias").Ranges);
        Assert.Equal([new IndexRange(96, 176)], plan.Slice(1, "model.layers.0.mlp.up_proj.bias").Ranges);
        foreach (var name in new[] { "self_attn.o_proj.bias", "mlp.down_proj.bias" })
        {
            var bias = plan.Slice(1, $"model.layers.0.{name}");
            Assert.Null(bias.Dim);
            Assert.Empty(bias.Ranges);
            Assert.Equal(("replicate", 128L), (bias.Style, bias.Bytes));
        }
    }

    [Fact]
    public void TiedModel_HoldsOneTableCutByVocabulary()
    {
        var plan = Planner.Plan(PlanCases.OnCpus(PlanCases.Llama(tied: true), 2));

        Assert.DoesNotContain(plan.Ranks[0].Tensors, slice => slice.Name == "lm_head.weight");
        var table = plan.Slice(1, "model.embed_tokens.weight");
        Assert.Equal(("embedding_rowwise", 0), (table.Style, table.Dim));
        Assert.Equal([new IndexRange(128, 256)], table.Ranges);
    }

    [Fact]
    public void UntiedModel_HoldsTheEmbeddingWholeAndCutsTheHead()
    {
        var plan = Planner.Plan(PlanCases.OnCpus(PlanCases.Llama(), 3));

        Assert.Null(plan.Slice(2, "model.embed_tokens.weight").Dim);
        Assert.Equal([96, 80, 80], plan.CutLengths("lm_head.weight"));
        Assert.Equal("colwise_gather_output", plan.Slice(0, "lm_head.weight").Style);
        Assert.Contains(
            "Held whole by every rank, because no key names them: embed_tokens, layers.*.input_layernorm, " +
            "layers.*.post_attention_layernorm, norm.",
            plan.Notes);
    }

    [Fact]
    public void OneRank_IsTensorParallelOfSizeOne()
    {
        var plan = Planner.Plan(PlanCases.OnCpus(PlanCases.Llama(), 1));

        Assert.Equal((PlanMode.TensorParallel, 1), (plan.Mode, plan.WorldSize));
        Assert.Equal([new IndexRange(0, 512)], plan.Slice(0, "model.layers.0.self_attn.q_proj.weight").Ranges);
        Assert.Empty(plan.FallbackReasons);
        Assert.Null(plan.DeviceMap);
    }

    [Fact]
    public void EveryElement_IsHeldByARank_WhateverTheShape()
    {
        var seed = Random.Shared.Next();
        var random = new Random(seed);
        for (var i = 0; i < 60; i++)
        {
            var (kvHeads, group) = (random.Next(1, 7), random.Next(1, 7));
            var ranks = random.Next(1, Math.Min(kvHeads * group, 12) + 1);
            var spec = PlanCases.Llama(
                layers: 1,
                heads: kvHeads * group,
                kvHeads: kvHeads,
                headDim: 2 * random.Next(1, 20),
                intermediate: random.Next(12, 500),
                vocabulary: random.Next(12, 500),
                tied: random.Next(2) == 0,
                attentionBias: random.Next(2) == 0,
                mlpBias: random.Next(2) == 0);
            AssertComplete(spec, Planner.Plan(PlanCases.OnCpus(spec, ranks)), $"seed {seed}, case {i}");
        }
    }

    private static void AssertComplete(ModelSpec spec, ExecutionPlan plan, string where)
    {
        Assert.True(plan.Mode == PlanMode.TensorParallel, where);
        foreach (var tensor in ModelSpecTensors.Of(spec))
        {
            var slices = plan.Ranks.Select(rank => plan.Slice(rank.Rank, tensor.Name)).ToList();
            Assert.All(plan.Ranks, rank => Assert.Equal(rank.Tensors.Sum(slice => slice.Bytes), rank.WeightBytes));
            if (slices[0].Dim is not { } dim)
            {
                Assert.All(slices, slice => Assert.Equal(tensor.Elements * 2, slice.Bytes));
                continue;
            }

            // Only key/value heads may overlap, and no index may be missing or come too late.
            var end = 0;
            foreach (var range in slices.Select(slice => Assert.Single(slice.Ranges)))
            {
                var mayOverlap = tensor.Name.Contains("k_proj") || tensor.Name.Contains("v_proj");
                var follows = mayOverlap ? range.Start <= end : range.Start == end;
                Assert.True(follows && range.Length > 0, $"{where}: {tensor.Name}: {range} after {end}");
                end = range.End;
            }

            Assert.True(tensor.Shape[dim] == end, $"{where}: {tensor.Name} ends at {end}");
        }
    }
}
