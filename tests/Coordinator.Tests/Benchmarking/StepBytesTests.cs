using TensorParallel.Coordinator.Benchmarking;
using TensorParallel.Coordinator.Hosting;
using TensorParallel.Coordinator.Planning;
using TensorParallel.Coordinator.Tests.Planning;
using TensorParallel.Protocol.Architectures;
using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Protocol.Parallel;
using TensorParallel.TestKit;
using Xunit;

namespace TensorParallel.Coordinator.Tests.Benchmarking;

public class StepBytesTests
{
    // Keys and values of one position of the 8B shape in bf16: 32 layers · 8 heads · 128 · 2 · 2 bytes.
    private const long PositionBytes = 131_072;

    [Theory]
    [InlineData("llama-3.1-8b", 16_060_522_496)]
    [InlineData("llama-3.1-70b", 141_107_412_992)]
    public void TheBenchmarksShapesHaveThePublicSizes(string name, long bytes)
    {
        var path = Path.Combine(RepositoryPaths.Root, "tests", "Benchmarks", "configs", $"{name}.json");
        var spec = ArchitectureCatalog.Describe(ModelConfig.Load(path));

        Assert.Equal(bytes, Planner.Plan(PlanCases.OnCpus(spec, 1)).Ranks[0].WeightBytes);
        Assert.Equal(131_072, spec.MaxPositionEmbeddings);
        Assert.NotEqual(1, spec.Blocks[0].Attention.Rope.InverseFrequencies[^1] * Math.Pow(500_000, 126.0 / 128), 1e-3);
    }

    [Fact]
    public void AStepReadsWeightsWithoutTheEmbeddingAndTheKeysAndValuesSoFar()
    {
        var model = Model("llama-3.1-8b", 1, useDeviceMap: false);

        var bytes = StepBytes.OfRanks(model, new BenchCell(512, 128, 2));

        const long Embedding = 128_256L * 4096 * 2;
        Assert.Equal(16_060_522_496 - Embedding + (2 * (512 + 64) * PositionBytes), Assert.Single(bytes));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void RanksShareTheBytesOfAStep(bool useDeviceMap)
    {
        var cell = new BenchCell(512, 128, 1);
        var whole = StepBytes.OfRanks(Model("llama-3.1-8b", 1, useDeviceMap: false), cell)[0];

        var parts = StepBytes.OfRanks(Model("llama-3.1-8b", 4, useDeviceMap), cell);

        // Norms, which every rank of a tensor-parallel group holds, are all that is read more than once.
        Assert.InRange(parts.Sum(), whole, whole + (3 * 65 * 4096 * 2));
    }

    [Fact]
    public void ATiedTableIsReadOnceWhereItIsTheHead()
    {
        var cell = new BenchCell(16, 16, 1);
        var map = Model("llama-3.2-1b", 2, useDeviceMap: true);

        var parts = StepBytes.OfRanks(map, cell);

        Assert.Equal(StepBytes.OfRanks(Model("llama-3.2-1b", 1, useDeviceMap: false), cell)[0], parts.Sum());
        Assert.True(map.Plan.Ranks.Sum(rank => rank.WeightBytes) > parts.Sum());
    }

    [Theory]
    [InlineData("llama-3.1-8b", OffloadKind.Sequential, 1)]
    [InlineData("llama-3.1-8b", OffloadKind.Group, 2)]
    [InlineData("llama-3.2-1b", OffloadKind.Model, 1)]
    public void WhatComesToADevice_IsReadThereToo_AndCountedByItself(string name, OffloadKind kind, int ranks)
    {
        var cell = new BenchCell(16, 16, 1);
        var (whole, model) = (Model(name, ranks, useDeviceMap: false), Model(name, ranks, useDeviceMap: false));
        var request = PlanCases.OnCpus(whole.Spec, ranks) with { Offload = new(kind) };
        var offloaded = model with { Plan = Planner.Plan(request) };

        Assert.Equal(StepBytes.OfRanks(whole, cell), StepBytes.OfRanks(offloaded, cell));
        Assert.Equal(0, StepBytes.OverBus(whole));
        var resident = offloaded.Plan.Ranks.Sum(rank => rank.WeightBytes);
        Assert.InRange(StepBytes.OverBus(offloaded) + resident, whole.Plan.Ranks.Sum(rank => rank.WeightBytes) / 2, whole.Plan.Ranks.Sum(rank => rank.WeightBytes));
        Assert.True(StepBytes.OverBus(offloaded) > resident);
    }

    [Fact]
    public void RanksThatReadAtOnceTakeTheSlowestsTimeAndOthersTheSum()
    {
        Assert.Equal(3, StepBytes.LeastSeconds(PlanMode.TensorParallel, [100, 300], [100, 100]), 9);
        Assert.Equal(4, StepBytes.LeastSeconds(PlanMode.DeviceMap, [100, 300], [100, 100]), 9);
        Assert.Equal(3, StepBytes.LeastSeconds(PlanMode.DeviceMap, [100, 300], [100, 100], parts: 2), 9);
        Assert.Equal(2, StepBytes.LeastSeconds(PlanMode.DeviceMap, [200, 200], [100, 100], parts: 2), 9);
        Assert.Equal(2, StepBytes.LeastSeconds(PlanMode.DeviceMap, [100, 100, 100, 100], [100, 100, 100, 100], parts: 2), 9);
    }

    [Fact]
    public void EveryMicroBatchReadsTheWeightsAndItsOwnKeysAndValues()
    {
        var model = Model("llama-3.1-8b", 2, useDeviceMap: true);
        var cell = new BenchCell(512, 128, 6);

        var whole = StepBytes.OfRanks(model, cell).Sum();
        var keysAndValues = 6 * (512 + 64) * PositionBytes;

        Assert.Equal((4 * (whole - keysAndValues)) + keysAndValues, StepBytes.OfRanks(model, cell, 4).Sum());
        Assert.Equal(StepBytes.OfRanks(model, cell with { Batch = 1 }), StepBytes.OfRanks(model, cell with { Batch = 1 }, 4));
    }

    private static PreparedModel Model(string name, int ranks, bool useDeviceMap)
    {
        var spec = PlanCases.Public(name);
        return new PreparedModel(
            name, "/", spec, new GenerationConfig(), Planner.Plan(PlanCases.OnCpus(spec, ranks) with { UseDeviceMap = useDeviceMap }), null);
    }
}
