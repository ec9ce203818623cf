using TensorParallel.Coordinator.Planning;
using TensorParallel.Coordinator.Planning.DeviceMaps;
using TensorParallel.Coordinator.Planning.Estimates;
using TensorParallel.Coordinator.Planning.Fit;
using TensorParallel.Coordinator.Planning.ModuleTrees;
using TensorParallel.Protocol.Architectures;
using TensorParallel.Protocol.Checkpoints;
using TensorParallel.TestKit;

namespace TensorParallel.Coordinator.Tests.Planning;

/// <summary>The seven models whose device maps are golden, by name: "llama-3.1-8b", "mixtral-8x7b", ….</summary>
internal static class EstimateCases
{
    /// <summary>Their names.</summary>
    public static IReadOnlyList<string> Names { get; } =
        ["llama-3.2-1b", "qwen3-4b", "qwen2.5-7b", "llama-3.1-8b", "gemma2-9b", "mixtral-8x7b", "llama-3.1-70b"];

    public static string ConfigPath(string name) => Path.Combine(RepositoryPaths.Golden("device_maps"), $"config_{name}.json");

    public static ModuleTree Tree(string name) => ModuleTreeCatalog.Describe(ModelConfig.Load(ConfigPath(name)));

    /// <summary>A request in bf16 for what <c>--max-memory</c> names.</summary>
    public static PlanRequest Request(string name, string maxMemory, string deviceMap = "fit")
    {
        var (spec, canCompute) = Spec(name);
        var budgets = MaxMemory.Parse(maxMemory);
        return new PlanRequest(
            spec,
            [.. budgets.Where(budget => budget.IsDevice)
                .Select(budget => new PlanDevice($"cuda:{budget.Device}", budget.Bytes) { IsExactBudget = true })],
            DType.BF16)
        {
            UseDeviceMap = true,
            DeviceMap = deviceMap,
            Modules = Tree(name),
            CanCompute = canCompute,
            MaxMemory = budgets,
        };
    }

    /// <summary>The row of units that <c>fit</c> places.</summary>
    public static FitModel FitModel(string name, int context = 2048, int sequences = 16)
    {
        var (spec, canCompute) = Spec(name);
        var request = new PlanRequest(spec, PlanDevice.Cpus(1), DType.BF16)
        {
            Limits = new LimitsRequest(MaxContextTokens: context, MaxSequences: sequences),
        };
        return Coordinator.Planning.Fit.FitModel.Of(
            spec, DType.BF16, DType.BF16, LimitsPlanner.Sizes(request), canCompute ? null : Tree(name));
    }

    public static EstimateRequest Estimate(string name, int? context = null, int batch = 1, string? maxMemory = null)
    {
        var (spec, canCompute) = Spec(name);
        return new EstimateRequest(
            name, spec, Tree(name), canCompute, DType.BF16, context, batch, maxMemory is null ? null : MaxMemory.Parse(maxMemory));
    }

    private static (ModelSpec Spec, bool CanCompute) Spec(string name)
    {
        var config = ModelConfig.Load(ConfigPath(name));
        return ArchitectureCatalog.ModelTypes.Contains(config.ModelType)
            ? (ArchitectureCatalog.Describe(config), true)
            : (PlainDecoder.Of(ModuleTreeCatalog.Describe(config).Shape), false);
    }
}
