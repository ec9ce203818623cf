using TensorParallel.Coordinator.Planning.DeviceMaps;
using TensorParallel.Coordinator.Planning.Fit;
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

        var placement = FitPlanner.Place(model, [new("0", 22 * GiB, 2), new("1", 22 * GiB, 1)], []);

        Assert.Equal([23, 9], Layers(placement));
    }

    [Fact]
    public void OfEquallyFastCuts_LargerDevicesGetMore()
    {
        var model = EstimateCases.FitModel("llama-3.1-8b");

        // 12 or 11 layers at the ends are equally slow as the 12 in the middle.
        var first = FitPlanner.Place(model, [new("0", 80 * GiB), new("1", 8 * GiB), new("2", 8 * GiB)], []);
        var second = FitPlanner.Place(model, [new("0", 8 * GiB), new("1", 80 * GiB), new("2", 8 * GiB)], []);

        Assert.Equal(12, Layers(first)[0]);
        Assert.Equal(12, Layers(second)[1]);
        Assert.True(Layers(second)[0] < 12);
    }

    [Fact]
    public void ATightEmbedding_MayStandAlone()
    {
        var model = EstimateCases.FitModel("qwen2.5-7b");
        var whole = new FitProblem(model, model.Units, [], embeddingStays: false);

        var placement = FitPlanner.Place(
            model, [new("0", whole.MemoryBytes(0, 1)), new("1", whole.MemoryBytes(1, model.Units.Count))], []);

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
    public void Spilled_IsTheLeastPossible_FromTheEnd()
    {
        var model = EstimateCases.FitModel("llama-3.1-8b");

        var placement = FitPlanner.Place(model, [new("0", 6 * GiB), new("1", 5 * GiB)], [new("cpu", 5 * GiB), new("disk", null)]);

        var kept = Layers(placement).Sum();
        var spilled = placement.Spilled.Where(unit => unit.Key.Layer is not null).ToList();
        Assert.Equal(Enumerable.Range(kept, 32 - kept), spilled.Select(unit => unit.Key.Layer!.Value));
        Assert.All(placement.Stages, stage => Assert.True(stage.MemoryBytes <= stage.Device.Bytes));
        Assert.Contains(model.Head, placement.Stages[^1].Units);

        // One layer more finds no place beside the room for one that is brought.
        var room = model.Layers[0].WeightBytes;
        Assert.True(placement.Stages.Sum(stage => stage.Device.Bytes!.Value - stage.MemoryBytes) < 2 * (room + model.Layers[0].KvBytes));
    }

    [Fact]
    public void HostMemory_IsFilledBeforeTheDisk()
    {
        var model = EstimateCases.FitModel("llama-3.1-8b");

        var placement = FitPlanner.Place(model, [new("0", 4 * GiB)], [new("cpu", 4 * GiB), new("disk", null)]);

        Assert.Equal(["cpu", "disk"], placement.Spilled.Select(unit => unit.Value).Distinct());
        Assert.InRange(
            placement.Spilled.Where(unit => unit.Value == "cpu").Sum(unit => unit.Key.WeightBytes),
            (4 * GiB) - model.Layers[0].WeightBytes,
            4 * GiB);
    }

    [Theory]
    [InlineData("llama-3.1-8b", new[] { 4, 4 }, "", "The model takes 15.0 GiB of weights, 256 MiB for the KV cache of one context of 2048 tokens")]
    [InlineData("llama-3.1-8b", new[] { 4, 4 }, "", "but 2 devices offer 8.0 GiB, in whole layers")]
    [InlineData("mixtral-8x7b", new[] { 2, 2 }, "", "For model.layers.0 alone a device needs 2.8 GiB")]
    [InlineData("mixtral-8x7b", new[] { 2, 2 }, "cpu=200GiB", "but the largest one offers 2.0 GiB")]
    [InlineData("llama-3.1-8b", new[] { 4 }, "cpu=1GiB", "GiB of weights do not fit on the devices, and not beside them either (cpu 1.0 GiB)")]
    public void WhatFitsNowhere_IsSaidWithNumbers(string model, int[] gibibytes, string spill, string expected)
    {
        var devices = gibibytes.Select((size, number) => new FitDevice($"{number}", size * GiB)).ToList();
        var beside = spill.Length == 0 ? [] : MaxMemory.Parse(spill);

        var exception = Assert.Throws<PlanException>(
            () => FitPlanner.Place(EstimateCases.FitModel(model), devices, beside));

        Assert.Contains(expected, exception.Message, StringComparison.Ordinal);
    }

    private static int[] Layers(FitPlacement placement) =>
        [.. placement.Stages.Select(stage => stage.Units.Count(unit => unit.Layer is not null))];

    private static FitPlacement Place(string model, params int[] gibibytes) => FitPlanner.Place(
        EstimateCases.FitModel(model), [.. gibibytes.Select((size, number) => new FitDevice($"{number}", size * GiB))], []);
}
