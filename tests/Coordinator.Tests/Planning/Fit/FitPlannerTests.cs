using TensorParallel.Coordinator.Planning.DeviceMaps;
using TensorParallel.Coordinator.Planning.Fit;
using TensorParallel.Coordinator.Planning.Offloading;
using TensorParallel.Protocol.Parallel;
using Xunit;

namespace TensorParallel.Coordinator.Tests.Planning.Fit;

public sealed class FitPlannerTests
{
    private const long GiB = 1L << 30;

    [Fact]
    public void TheHeadsStage_GetsFewerLayers()
    {
        // 32 layers, and a head that reads as much as 2.4 of them: 34.4 in all, 8.6 a device.
        var placement = Place("llama-3.1-8b", 22, 22, 22, 22);

        Assert.Equal([8, 9, 9, 6], Layers(placement));
    }

    [Fact]
    public void FasterDevices_GetMore()
    {
        var model = EstimateCases.FitModel("llama-3.1-8b");

        var placement = FitPlanner.Place(model, [new("0", 22 * GiB, 2), new("1", 22 * GiB, 1)], FitSpill.Never);

        Assert.Equal([23, 9], Layers(placement));
    }

    [Fact]
    public void OfEquallyFastCuts_LargerDevicesGetMore()
    {
        var model = EstimateCases.FitModel("llama-3.1-8b");

        // 12 or 11 layers at the ends are equally slow as the 12 in the middle.
        var first = FitPlanner.Place(model, [new("0", 80 * GiB), new("1", 8 * GiB), new("2", 8 * GiB)], FitSpill.Never);
        var second = FitPlanner.Place(model, [new("0", 8 * GiB), new("1", 80 * GiB), new("2", 8 * GiB)], FitSpill.Never);

        Assert.Equal(12, Layers(first)[0]);
        Assert.Equal(12, Layers(second)[1]);
        Assert.True(Layers(second)[0] < 12);
    }

    [Fact]
    public void ATightEmbedding_MayStandAlone()
    {
        var model = EstimateCases.FitModel("qwen2.5-7b");
        var whole = new FitProblem(model, [], embeddingStays: false);

        var placement = FitPlanner.Place(
            model, [new("0", whole.MemoryBytes(0, 1)), new("1", whole.MemoryBytes(1, model.Units.Count))], FitSpill.Never);

        Assert.Equal([0, 28], Layers(placement));
        Assert.Equal([model.Embedding], placement.Stages[0].Units);
    }

    [Fact]
    public void TiedTables_AreOneOnOneDevice_AndTwoOnTwo()
    {
        var model = EstimateCases.FitModel("llama-3.2-1b");
        var table = 128_256L * 2048 * 2;

        var one = Assert.Single(Place("llama-3.2-1b", 22).Stages);
        var two = Place("llama-3.2-1b", 22, 22);

        Assert.Equal(table, model.SharedBytes);
        var repeated = 2 * model.Workspace.Common + 2 * model.Workspace.Layers - model.Workspace.Common - model.Workspace.Layers;
        Assert.Equal(one.MemoryBytes + table + repeated, two.Stages.Sum(stage => stage.MemoryBytes));
    }

    [Fact]
    public void EveryDevice_SpillsOfItsOwn_TheEmbeddingFirst_AndNoMoreThanItMust()
    {
        var model = EstimateCases.FitModel("llama-3.1-8b");

        var placement = FitPlanner.Place(model, [new("0", 6 * GiB), new("1", 6 * GiB)], Spill("cpu=64GiB"));

        Assert.Equal(model.Units, placement.Stages.SelectMany(stage => stage.Units));
        Assert.Equal("model.embed_tokens", placement.Spilled[0].Name);
        var blocks = placement.Stages.Select(stage => stage.Choice!.Chunks.Count).ToList();
        Assert.All(blocks, count => Assert.InRange(count, 1, 8));
        Assert.All(placement.Stages, stage => Assert.True(stage.MemoryBytes <= stage.Device.Bytes));

        // A block more finds no place: less than one is left on each.
        Assert.All(placement.Stages, stage => Assert.True(stage.Device.Bytes - stage.MemoryBytes < model.Layers[0].WeightBytes));
        Assert.DoesNotContain(placement.Spilled, module => module.Name == "lm_head");
    }

    [Fact]
    public void BothBuses_CarryAboutTheSame()
    {
        var model = EstimateCases.FitModel("llama-3.1-70b");

        var placement = FitPlanner.Place(
            model, [.. Enumerable.Range(0, 4).Select(number => new FitDevice($"{number}", 24 * GiB))], Spill("cpu=200GiB"));

        var moved = placement.Stages.Select(stage => stage.Choice!.MovedBytes).ToList();
        Assert.InRange(moved.Max(), moved.Average(), moved.Average() + (1.5 * model.Layers[0].WeightBytes));
    }

    [Fact]
    public void HostMemory_IsFilledBeforeTheDisk()
    {
        var model = EstimateCases.FitModel("llama-3.1-8b");

        var placement = FitPlanner.Place(model, [new("0", 4 * GiB)], Spill("cpu=4GiB,disk=100GiB"));

        Assert.Equal(
            [Residency.Host, Residency.Disk], placement.Spilled.Select(module => module.Residency).Distinct().Order());
        Assert.InRange(
            placement.Spilled.Where(module => module.Residency == Residency.Host).Sum(module => module.Bytes),
            (4 * GiB) - model.Layers[0].WeightBytes,
            4 * GiB);
    }

    [Theory]
    [InlineData("llama-3.1-8b", new[] { 4, 4 }, "", "The model takes 15.0 GiB of weights, 256 MiB for the KV cache of one context of 2048 tokens")]
    [InlineData("llama-3.1-8b", new[] { 4, 4 }, "", "but 2 devices offer 8.0 GiB, in whole layers")]
    [InlineData("mixtral-8x7b", new[] { 2, 2 }, "", "For model.layers.0 alone a device needs 2.8 GiB")]
    [InlineData("mixtral-8x7b", new[] { 2, 2 }, "cpu=200GiB", "(the largest, model.layers.0, takes 2.7 GiB)")]
    [InlineData("mixtral-8x7b", new[] { 2, 2 }, "cpu=200GiB", "but 2 devices offer 4.0 GiB")]
    [InlineData("llama-3.1-8b", new[] { 4 }, "cpu=1GiB", "GiB of weights do not fit on the devices, and not beside them either (cpu 1.0 GiB)")]
    public void WhatFitsNowhere_IsSaidWithNumbers(string model, int[] gibibytes, string spill, string expected)
    {
        var devices = gibibytes.Select((size, number) => new FitDevice($"{number}", size * GiB)).ToList();
        var beside = spill.Length == 0 ? FitSpill.Never : Spill(spill);

        var exception = Assert.Throws<PlanException>(
            () => FitPlanner.Place(EstimateCases.FitModel(model), devices, beside));

        Assert.Contains(expected, exception.Message, StringComparison.Ordinal);
    }

    private static int[] Layers(FitPlacement placement) =>
        [.. placement.Stages.Select(stage => stage.Units.Count(unit => unit.Layer is not null))];

    private static FitPlacement Place(string model, params int[] gibibytes) => FitPlanner.Place(
        EstimateCases.FitModel(model), [.. gibibytes.Select((size, number) => new FitDevice($"{number}", size * GiB))], FitSpill.Never);

    private static FitSpill Spill(string places) => new(new OffloadRequest(), SpillPlaces.Of(MaxMemory.Parse(places)));
}
