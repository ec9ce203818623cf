using TensorParallel.Coordinator.Planning;
using TensorParallel.Coordinator.Planning.Estimates;
using TensorParallel.Coordinator.Planning.ModuleTrees;
using TensorParallel.Coordinator.Planning.Offloading;
using TensorParallel.Protocol.Architectures;
using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Protocol.Parallel;
using Xunit;

namespace TensorParallel.Coordinator.Tests.Planning.Estimates;

public sealed class EstimatorTests
{
    [Fact]
    public void AnEightBillionModel_IsMeasured()
    {
        var estimate = Estimator.Of(EstimateCases.Estimate("llama-3.1-8b", context: 1000, batch: 3));

        Assert.Equal((8_030_261_248, 16_060_522_496), (estimate.Parameters, estimate.WeightBytes));
        Assert.Equal(new LargestModule("model.embed_tokens", 1_050_673_152), estimate.LargestModule);

        // 2 · 32 layers · 8 heads of 128 · 2 bytes a position; 1000 positions are 63 blocks of 16.
        var position = 2L * 32 * 8 * 128 * 2;
        Assert.Equal(
            [
                new CacheBytes(1000, 1, 63 * 16 * position),
                new CacheBytes(1000, 3, 3 * 63 * 16 * position),
                new CacheBytes(2048, 1, 2048 * position),
                new CacheBytes(2048, 3, 3 * 2048 * position),
            ],
            estimate.KvCache);
        Assert.Equal([1, 1, 2, 2, 4, 4, 8, 8], estimate.Spreads.Select(spread => spread.DeviceCount));
        Assert.All(estimate.Spreads, spread => Assert.Equal(
            3 * 63 * 16 * position, spread.Devices.Sum(device => device.KvBytes)));
    }

    [Fact]
    public void Formats_CountTheirScales()
    {
        var formats = Estimator.Of(EstimateCases.Estimate("llama-3.1-8b")).Formats.ToDictionary(f => f.Format, f => f.Bytes);

        var layers = 32 * ((2 * 4096L * 4096) + (2 * 1024L * 4096) + (3 * 14336L * 4096));
        var rows = 32L * (4096 + 1024 + 1024 + 4096 + 14336 + 14336 + 4096);
        var rest = 2 * (8_030_261_248 - layers);
        Assert.Equal(4 * 8_030_261_248, formats["float32"]);
        Assert.Equal(16_060_522_496, formats["bfloat16, float16"]);
        Assert.Equal(rest + layers + (layers / (128 * 128) * 4), formats["float8, blocks of 128 x 128"]);
        Assert.Equal(rest + layers + (4 * rows), formats["int8, a scale a row"]);
        Assert.Equal(rest + (layers / 2) + (layers / 128 * 2) + (layers / 128 / 2), formats["int4, groups of 128"]);
        Assert.Equal(rest + (layers / 2) + (layers / 64 * 4), formats["nf4, blocks of 64"]);
    }

    [Theory]
    [InlineData("llama-3.1-8b", 1)]
    [InlineData("llama-3.1-8b", 3)]
    [InlineData("llama-3.1-8b", 32)]
    [InlineData("llama-3.2-1b", 8)]
    [InlineData("llama-3.1-70b", 8)]
    [InlineData("llama-3.1-70b", 48)]
    public void WeightsOfARank_AreThePlanners(string name, int ranks)
    {
        var config = ModelConfig.Load(EstimateCases.ConfigPath(name));

        var plan = Planner.Plan(PlanCases.OnCpus(ArchitectureCatalog.Describe(config), ranks));

        Assert.Equal(
            plan.Ranks.Select(rank => rank.WeightBytes),
            TensorParallelWeights.Of(ModuleTreeCatalog.Describe(config), DType.BF16, ranks));
    }

    [Theory]
    [MemberData(nameof(Models))]
    public void EveryFamily_IsEstimated(string name)
    {
        var estimate = Estimator.Of(EstimateCases.Estimate(name));

        var one = estimate.Spreads[0].Devices[0];
        Assert.Equal((estimate.WeightBytes, estimate.Spreads[1].Devices[0].WeightBytes), (one.WeightBytes, estimate.WeightBytes));
        Assert.All(estimate.Spreads, spread => Assert.Null(spread.Obstacle));
        foreach (var spread in estimate.Spreads)
        {
            Assert.InRange(spread.Fullest!.WeightBytes, estimate.WeightBytes / spread.DeviceCount, estimate.WeightBytes);
        }
    }

    [Theory]
    [InlineData("0=12GiB,1=16GiB")]
    [InlineData("0=9GiB,1=9GiB")]
    public void TheLongestContext_IsTheLongest(string memory)
    {
        var config = ModelConfig.Load(EstimateCases.ConfigPath("llama-3.1-8b"));
        var request = EstimateCases.Estimate("llama-3.1-8b", maxMemory: memory) with
        {
            Spec = ArchitectureCatalog.Describe(config) with { MaxPositionEmbeddings = 131_072 },
            Batch = 2,
        };

        foreach (var spread in Estimator.Of(request).Given)
        {
            var longest = Assert.NotNull(spread.LargestContext);
            Assert.InRange(longest, 1, 131_071);
            Assert.True(Same(request with { ContextTokens = longest }, spread).Fits);
            Assert.False(Same(request with { ContextTokens = longest + 1 }, spread).Fits);
        }

        static SpreadEstimate Same(EstimateRequest request, SpreadEstimate spread) =>
            Estimator.Of(request).Given.Single(other => other.Mode == spread.Mode);
    }

    [Fact]
    public void WhatDoesNotFit_SaysSo_AndHostMemoryHelps()
    {
        var without = Estimator.Of(EstimateCases.Estimate("llama-3.1-70b", maxMemory: "0=24GiB")).Given;
        var with = Estimator.Of(EstimateCases.Estimate("llama-3.1-70b", maxMemory: "0=24GiB,cpu=200GiB")).Given;

        Assert.All(without, spread => Assert.False(spread.Fits));
        Assert.All(without, spread => Assert.Null(spread.LargestContext));
        Assert.Contains("The model takes 131 GiB of weights", without[1].Obstacle, StringComparison.Ordinal);
        Assert.All(with, spread =>
        {
            Assert.True(spread.Fits);
            Assert.InRange(spread.Spilled["cpu"], 100L << 30, 131L << 30);
            Assert.InRange(spread.Devices[0].BusBytes, 100L << 30, spread.Spilled["cpu"]);
            Assert.Equal(2048, spread.LargestContext);
        });
    }

    [Theory]
    [InlineData(OffloadKind.Model, null, null)]
    [InlineData(OffloadKind.Sequential, null, null)]
    [InlineData(OffloadKind.Group, null, null)]
    [InlineData(OffloadKind.Group, 3, 4)]
    public void Offloading_WithoutBudgets_IsThatOfAPlan(OffloadKind kind, int? blocks, int? slots)
    {
        var offload = new OffloadRequest(kind, blocks, slots);
        var request = EstimateCases.Estimate("llama-3.1-8b", context: 2048) with { Offload = offload };

        var spreads = Estimator.Of(request).Spreads.Where(spread => spread.DeviceCount == 2).ToList();

        foreach (var spread in spreads)
        {
            var plan = Planner.Plan(new PlanRequest(request.Spec, [new("cuda:0"), new("cuda:1")], DType.BF16)
            {
                Offload = offload,
                UseDeviceMap = spread.Mode == "device_map",
                Modules = request.Modules,
                Limits = new LimitsRequest(MaxSequences: 1, MaxContextTokens: 2048),
            });
            Assert.Equal(
                plan.Ranks.Select(rank => (rank.WeightBytes, rank.Offload!.StagingBytes, OffloadPlanner.BusBytes(request.Spec, rank))),
                spread.Devices.Select(device => (device.WeightBytes, device.StagingBytes, device.BusBytes)));
            Assert.Equal(plan.Ranks.Sum(rank => rank.Offload!.HostBytes), spread.Spilled["cpu"]);
        }

        Assert.Equal(2, spreads.Count);
    }

    [Fact]
    public void Offloading_WithBudgets_TakesOffOnlyWhatDoesNotFit_InPortionsOfItsKind()
    {
        var request = EstimateCases.Estimate("llama-3.1-8b", context: 2048, maxMemory: "0=12GiB,cpu=64GiB");
        var (groups, sequential) = (Given(new OffloadRequest()), Given(new OffloadRequest(OffloadKind.Sequential)));

        // One slot of one block instead of two.
        Assert.All(groups.Zip(sequential), pair =>
        {
            Assert.True(pair is { First.Fits: true, Second.Fits: true });
            Assert.Equal(pair.First.Devices[0].StagingBytes, 2 * pair.Second.Devices[0].StagingBytes);
            Assert.InRange(pair.Second.Spilled["cpu"], 1, pair.First.Spilled["cpu"]);
        });
        Assert.All(
            Estimator.Of(request with { Offload = new OffloadRequest(OffloadKind.Sequential) }).Spreads,
            spread => Assert.Empty(spread.Spilled));

        IReadOnlyList<SpreadEstimate> Given(OffloadRequest offload) => Estimator.Of(request with { Offload = offload }).Given;
    }

    [Fact]
    public void Offloading_OfAFamilyThatIsNotRun_IsEstimatedByDeviceMapAlone()
    {
        var request = EstimateCases.Estimate("mixtral-8x7b") with { Offload = new OffloadRequest(OffloadKind.Group) };

        var spreads = Estimator.Of(request).Spreads;

        Assert.Contains("only of families that are run", spreads[0].Obstacle, StringComparison.Ordinal);
        Assert.InRange(spreads[1].Devices[0].WeightBytes, 0, Estimator.Of(request).WeightBytes / 10);
    }

    [Fact]
    public void MoreDevicesThanHeads_AreAnObstacle()
    {
        var memory = string.Join(',', Enumerable.Range(0, 33).Select(number => $"{number}=24GiB"));

        var given = Estimator.Of(EstimateCases.Estimate("llama-3.1-8b", maxMemory: memory)).Given;

        Assert.Equal("32 query heads cannot be cut over 33 ranks; use at most 32.", given[0].Obstacle);
        Assert.True(given[1].Fits);
    }

    public static TheoryData<string> Models() => [.. EstimateCases.Names];
}
