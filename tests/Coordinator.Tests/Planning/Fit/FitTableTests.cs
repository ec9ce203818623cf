using System.Globalization;
using TensorParallel.Coordinator.Planning;
using TensorParallel.Coordinator.Planning.DeviceMaps;
using TensorParallel.Coordinator.Planning.Fit;
using TensorParallel.TestKit;
using Xunit;

namespace TensorParallel.Coordinator.Tests.Planning.Fit;

/// <summary>
/// The table in the README of Planning/Fit: <c>auto</c> against <c>fit</c> by the same costs. UPDATE_GOLDEN_PLANS=1
/// rewrites it.
/// </summary>
public sealed class FitTableTests
{
    private const string Begin = "<!-- table: FitTableTests -->\n";
    private const string End = "<!-- end -->";

    private static readonly (string Model, string Memory, double[] Speeds)[] s_cases =
    [
        ("llama-3.1-8b", "0=22GiB,1=22GiB", []),
        ("llama-3.1-8b", "0=22GiB,1=22GiB,2=22GiB,3=22GiB", []),
        ("llama-3.1-8b", "0=22GiB,1=22GiB", [3, 1]),
        ("llama-3.2-1b", "0=22GiB,1=22GiB", []),
        ("qwen2.5-7b", "0=22GiB,1=22GiB,2=22GiB,3=22GiB", []),
        ("gemma2-9b", "0=24GiB,1=48GiB", []),
        ("llama-3.1-70b", "0=40GiB,1=80GiB,2=80GiB", []),
        ("llama-3.1-70b", "0=24GiB,1=24GiB,2=24GiB,3=24GiB,4=24GiB,5=24GiB,6=24GiB,7=24GiB", []),
        ("mixtral-8x7b", "0=80GiB,1=80GiB", []),
        ("llama-3.1-8b", "0=12GiB,cpu=64GiB", []),
        ("llama-3.1-70b", "0=80GiB,cpu=200GiB", []),
        ("mixtral-8x7b", "0=24GiB,1=48GiB,cpu=200GiB", []),
        ("llama-3.1-8b", "0=5GiB,1=5GiB,cpu=64GiB", []),
        ("llama-3.1-8b", "0=6GiB,1=6GiB,2=6GiB", []),
        ("llama-3.1-70b", "0=24GiB,1=24GiB,2=24GiB,3=24GiB,cpu=200GiB", []),
    ];

    [Fact]
    public void TheReadmesTable_IsTrue_AndFitIsNeverWorse()
    {
        var path = Path.Combine(RepositoryPaths.Root, "src", "Coordinator", "Planning", "Fit", "README.md");
        var readme = File.ReadAllText(path);
        var (begin, end) = (readme.IndexOf(Begin, StringComparison.Ordinal) + Begin.Length, readme.IndexOf(End, StringComparison.Ordinal));
        var table = "| model | devices | slowest stage, ms a token: auto | fit | GiB a token over the busiest bus: auto | fit | slots: auto | fit |\n" +
            "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |\n" + string.Concat(s_cases.Select(Row));
        if (Environment.GetEnvironmentVariable("UPDATE_GOLDEN_PLANS") == "1")
        {
            File.WriteAllText(path, readme[..begin] + table + readme[end..]);
            readme = File.ReadAllText(path);
            end = readme.IndexOf(End, StringComparison.Ordinal);
        }

        Assert.Equal(table, readme[begin..end]);
    }

    private static string Row((string Model, string Memory, double[] Speeds) row)
    {
        var request = EstimateCases.Request(row.Model, row.Memory);
        var model = EstimateCases.FitModel(row.Model);
        var map = DeviceMapPlan.Make(request with { DeviceMap = "auto" }, []);
        var auto = Cost(model, map.Placed.Map, row.Speeds);
        var devices = request.Devices.Select((device, i) =>
            new FitDevice(device.Number, device.UsableBytes, row.Speeds.Length == 0 ? 1 : row.Speeds[i])).ToList();
        var placement = FitPlanner.Place(model, devices, FitSpill.Of(request));
        var fit = placement.Stages.Select(stage => (
            Read: stage.Units.Sum(unit => unit.ReadBytes) / stage.Device.Speed, Moved: stage.Choice?.MovedBytes ?? 0)).ToList();
        var (read, moved) = (fit.Max(stage => stage.Read), fit.Max(stage => stage.Moved));

        // What comes over a bus costs far more than any stage: only maps that move alike are compared by stages. Where auto leaves room
        // for one slot only, a group comes while nothing is computed; a second slot is worth the group more that moves.
        var slots = map.Plan is { } plan ? plan.Ranks.Max(rank => rank.Offload?.Slots ?? 0) : -1;
        var fitSlots = placement.Stages.Max(stage => stage.Choice is { MovedBytes: > 0 } choice ? choice.Slots : 0);
        if (slots >= 0)
        {
            Assert.True(fitSlots > 0 == slots > 0 && fitSlots >= slots, $"{row.Memory}: {fitSlots} slots against {slots}");
            Assert.True(
                moved <= auto.Moved + ((fitSlots - slots) * model.Layers[0].WeightBytes), $"{row.Memory}: {moved} against {auto.Moved}");
        }

        Assert.True(auto.Moved > 0 || (moved == 0 && read <= auto.Slowest * FitPartition.Tolerance), row.Memory);
        var speeds = row.Speeds.Length == 0 ? "" : $", speeds {string.Join(" : ", row.Speeds)}";
        return string.Create(
            CultureInfo.InvariantCulture,
            $"| {row.Model} | {Devices(row.Memory)}{speeds} | {auto.Slowest / 3e9:0.00} | {read / 3e9:0.00} | " +
            $"{Gibibytes(auto.Moved)} | {Gibibytes(moved)} | {Slots(map, slots)} | {fitSlots} |\n");
    }

    private static string Slots(DeviceMapPlan map, int slots) =>
        slots >= 0 ? $"{slots}" : map.Obstacle.Contains("missing", StringComparison.Ordinal) ? "no room" : "-";

    // What auto leaves beside the devices all comes to one of them, the last, and is computed there.
    private static (double Slowest, long Moved) Cost(FitModel model, DeviceMap map, double[] speeds)
    {
        var places = model.Units.Select(unit => (Unit: unit, Place: map.PlaceOf(unit.Modules[^1])!)).ToList();
        var last = places.Last(entry => DeviceBudget.IsNumber(entry.Place)).Place;
        var slowest = places
            .GroupBy(entry => DeviceBudget.IsNumber(entry.Place) ? entry.Place : last, entry => entry.Unit.ReadBytes)
            .Max(device => device.Sum() / (speeds.Length == 0 ? 1 : speeds[int.Parse(device.Key, CultureInfo.InvariantCulture)]));
        return (slowest, places.Where(entry => !DeviceBudget.IsNumber(entry.Place) && entry.Unit != model.Embedding)
            .Sum(entry => entry.Unit.WeightBytes));
    }

    // 0=22GiB,1=22GiB,cpu=64GiB as 2 x 22GiB, cpu 64GiB.
    private static string Devices(string memory)
    {
        var sizes = memory.Split(',').Select(entry => entry.Split('=')).ToList();
        var groups = sizes.Where(size => size[0] != "cpu").GroupBy(size => size[1])
            .Select(group => group.Count() == 1 ? group.Key : $"{group.Count()} x {group.Key}");
        return string.Join(", ", groups.Concat(sizes.Where(size => size[0] == "cpu").Select(size => $"cpu {size[1]}")));
    }

    private static string Gibibytes(long bytes) =>
        bytes == 0 ? "0" : (bytes / (double)(1 << 30)).ToString("0.0", CultureInfo.InvariantCulture);
}
