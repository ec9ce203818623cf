using TensorParallel.Coordinator.Planning.Fit;
using TensorParallel.Coordinator.Planning.Offloading;
using TensorParallel.Protocol.Generation;
using TensorParallel.Protocol.Parallel;
using Xunit;

namespace TensorParallel.Coordinator.Tests.Planning.Fit;

/// <summary>Random models on random devices.</summary>
public sealed class FitPropertyTests
{
    [Fact]
    public void ThePlacement_IsTheBestOfAllCuts_AndNeverWorseThanEqualLayers()
    {
        var seed = Random.Shared.Next();
        var random = new Random(seed);
        var (fitting, compared) = (0, 0);
        for (var i = 0; i < 2000; i++)
        {
            var (model, devices) = (Model(random), Devices(random));
            var cuts = Cuts(model.Units.Count, devices.Count).ToList();
            foreach (var embeddingStays in new[] { true, false })
            {
                var problem = new FitProblem(model, devices, embeddingStays);
                var best = cuts.Min(ends => Slowest(problem, ends));
                var found = FitPartition.Find(problem);

                Assert.True(double.IsPositiveInfinity(best) == found is null, $"seed {seed}, case {i}");
                if (found is not null)
                {
                    fitting++;
                    Assert.True(Slowest(problem, found) <= best * FitPartition.Tolerance * (1 + 1e-9), $"seed {seed}, case {i}");
                }
            }

            var equal = Slowest(new FitProblem(model, devices, false), EqualLayers(model, devices.Count));
            if (!double.IsPositiveInfinity(equal))
            {
                compared++;
                Assert.True(FitPlanner.Place(model, devices, FitSpill.Never).SlowestStage <= equal * FitPartition.Tolerance * (1 + 1e-9), $"seed {seed}, case {i}");
            }
        }

        Assert.True(fitting > 200 && compared > 100, $"{fitting} fitted, {compared} compared: the cases are too hard to say anything.");
    }

    [Fact]
    public void EveryUnit_IsPlacedOnce_WithinTheBudgets_AndNothingIsSpilledThatFits()
    {
        var seed = Random.Shared.Next();
        var random = new Random(seed);
        var (spilled, whole) = (0, 0);
        for (var i = 0; i < 2000; i++)
        {
            var (model, devices) = (Model(random), Devices(random));
            var fits = new[] { true, false }.Any(stays =>
                FitPartition.Find(new FitProblem(model, devices, stays)) is not null);
            var spill = new FitSpill(new OffloadRequest(), new SpillPlaces(200, long.MaxValue));
            FitPlacement placement;
            try
            {
                placement = FitPlanner.Place(model, devices, spill);
            }
            catch (PlanException)
            {
                Assert.False(fits, $"seed {seed}, case {i}");
                continue;
            }

            Assert.Equal(model.Units, placement.Stages.SelectMany(stage => stage.Units));
            Assert.All(placement.Stages, stage => Assert.True(stage.Device.Bytes is null || stage.MemoryBytes <= stage.Device.Bytes));
            Assert.True(placement.Spilled.Where(module => module.Residency == Residency.Host).Sum(module => module.Bytes) <= 200);
            Assert.True(!fits || placement.Spilled.Count == 0, $"seed {seed}, case {i}");
            Assert.Equal(model.Units.Sum(unit => unit.Modules.Count), placement.ToMap(model).Entries.DistinctBy(e => e.Key).Count());
            (spilled, whole) = (spilled + (placement.Spilled.Count > 0 ? 1 : 0), whole + (placement.Spilled.Count > 0 ? 0 : 1));
        }

        Assert.True(spilled > 100 && whole > 100, $"{spilled} spilled, {whole} did not.");
    }

    private static FitModel Model(Random random)
    {
        var uneven = random.Next(2) == 0;
        var (weight, kv) = (random.Next(1, 60), random.Next(0, 20));
        var table = random.Next(1, 120);
        return new FitModel(
            new(["embed"], null, table, 0, 1),
            [.. Enumerable.Range(0, random.Next(1, 8)).Select(layer =>
                Layer(layer, uneven ? random.Next(1, 60) : weight, kv))],
            new(["norm", "head"], null, table + 1, 0, table + 1),
            random.Next(2) == 0 ? table : 0,
            new FitWorkspace(random.Next(0, 9), random.Next(0, 9), random.Next(0, 9), random.Next(0, 9)),
            new StepLimits(1, 1, 1, 1, 1));
    }

    private static FitUnit Layer(int layer, long weight, long kv) => new([$"layers.{layer}"], layer, weight, kv, weight + kv);

    private static List<FitDevice> Devices(Random random)
    {
        var (isKnown, isEqual) = (random.Next(5) > 0, random.Next(2) == 0);
        return [.. Enumerable.Range(0, random.Next(1, 5)).Select(number =>
            new FitDevice($"{number}", isKnown ? random.Next(1, 400) : null, isEqual ? 1 : random.Next(1, 5)))];
    }

    private static IEnumerable<int[]> Cuts(int units, int devices) => devices == 1
        ? [[units]]
        : Enumerable.Range(0, units + 1).SelectMany(
            last => Cuts(last, devices - 1).Select(ends => ends.Append(units).ToArray()));

    private static double Slowest(FitProblem problem, IReadOnlyList<int> ends)
    {
        var slowest = 0.0;
        for (var device = 0; device < ends.Count; device++)
        {
            var start = device == 0 ? 0 : ends[device - 1];
            var isPossible = problem.Fits(device, start, ends[device])
                && (start == ends[device] || (problem.MayCutBefore(start) && problem.MayCutBefore(ends[device])));
            slowest = Math.Max(slowest, isPossible ? problem.Time(device, start, ends[device]) : double.PositiveInfinity);
        }

        return slowest;
    }

    // Embedding with the first layers, head with the last; the remainder to the earlier devices.
    private static int[] EqualLayers(FitModel model, int devices)
    {
        var partition = new UnitPartition(model.Layers.Count, 1, Math.Min(devices, model.Layers.Count));
        return [.. Enumerable.Range(0, devices).Select(device => device >= partition.Ranks - 1
            ? model.Units.Count
            : partition[device].End + 1)];
    }
}
