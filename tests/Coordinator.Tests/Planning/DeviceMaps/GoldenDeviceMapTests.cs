using System.Text.Json;
using TensorParallel.Coordinator.Planning;
using TensorParallel.Coordinator.Planning.DeviceMaps;
using TensorParallel.Coordinator.Planning.ModuleTrees;
using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Protocol.Parallel;
using TensorParallel.TestKit;
using Xunit;

namespace TensorParallel.Coordinator.Tests.Planning.DeviceMaps;

/// <summary>252 maps that accelerate made, and the budgets it made them by: 7 models, 12 sets of devices, 3 strategies.</summary>
public sealed class GoldenDeviceMapTests
{
    private static readonly JsonDocument s_golden =
        JsonDocument.Parse(File.ReadAllBytes(Path.Combine(RepositoryPaths.Golden("device_maps"), "cases.json")));

    public static TheoryData<string, string, string, int> Cases()
    {
        var data = new TheoryData<string, string, string, int>();
        var index = 0;
        foreach (var golden in Goldens().EnumerateArray())
        {
            var memory = string.Join(
                ',', golden.GetProperty("max_memory_gib").EnumerateObject().Select(p => $"{p.Name}={p.Value}GiB"));
            data.Add(golden.GetProperty("model").GetString()!, memory, golden.GetProperty("strategy").GetString()!, index++);
        }

        return data;
    }

    [Fact]
    public void ThereAre252() => Assert.Equal(252, Goldens().GetArrayLength());

    [Theory]
    [MemberData(nameof(Cases))]
    public void MapAndBudgets_AreAccelerates(string model, string maxMemory, string strategy, int index)
    {
        var golden = Goldens()[index];
        var config = ModelConfig.Load(Path.Combine(RepositoryPaths.Golden("device_maps"), $"config_{model}.json"));
        var sizes = new ModuleSizes(ModuleTreeCatalog.Describe(config), DType.BF16);

        var result = DeviceMapStrategy.Find(strategy)!.Place(sizes, MaxMemory.Parse(maxMemory));

        Assert.Equal(Numbers(golden.GetProperty("budget_bytes")), result.Budgets.ToDictionary(b => b.Device, b => b.Bytes));
        Assert.Equal(Texts(golden.GetProperty("device_map")), result.Map.Entries.ToDictionary());
        Assert.Equal(sizes.Total, result.Map.BytesByPlace(sizes).Sum(place => place.Value));
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void ThePlansJson_HasMapAndBudgets_WhetherOrNotItCanBeRun(string model, string maxMemory, string strategy, int index)
    {
        var plan = DeviceMapPlan.Make(EstimateCases.Request(model, maxMemory, strategy), []);

        using var json = JsonDocument.Parse(plan.Plan is { } runnable
            ? PlanJson.Serialize(runnable)
            : PlanJson.SerializeMap(plan.Placed.Map.Entries, plan.Placed.BudgetEntries, plan.DType, plan.Placed.Notes, plan.Obstacle));

        Assert.Equal(Texts(Goldens()[index].GetProperty("device_map")), Texts(json.RootElement.GetProperty("device_map")));
        Assert.Equal(Numbers(Goldens()[index].GetProperty("budget_bytes")), Numbers(json.RootElement.GetProperty("device_map_budget")));
        Assert.True(plan.Plan is null == plan.Obstacle.Length > 0);
        if (plan.Plan is { } read)
        {
            Assert.Equal(json.RootElement.ToString(), PlanJson.Serialize(PlanJson.Deserialize(PlanJson.Serialize(read))));
        }
    }

    private static JsonElement Goldens() => s_golden.RootElement.GetProperty("cases");

    private static Dictionary<string, long?> Numbers(JsonElement json) =>
        json.EnumerateObject().ToDictionary(p => p.Name, p => (long?)p.Value.GetInt64());

    private static Dictionary<string, string> Texts(JsonElement json) =>
        json.EnumerateObject().ToDictionary(p => p.Name, p => p.Value.GetString()!);
}
