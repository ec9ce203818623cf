using TensorParallel.Coordinator.Planning.DeviceMaps;
using TensorParallel.Coordinator.Planning.Fit;
using TensorParallel.Protocol.Generation;
using TensorParallel.Protocol.Parallel;

namespace TensorParallel.Coordinator.Planning.Estimates;

/// <summary>What each device holds of a model, by the planners themselves.</summary>
internal sealed class SpreadEstimator(EstimateRequest request)
{
    private const int BlockTokens = 16;

    /// <summary>Tensor parallel over devices.</summary>
    /// <param name="budgets">Devices; without bytes: nothing is checked.</param>
    /// <param name="contextTokens">Tokens of a sequence.</param>
    public SpreadEstimate TensorParallel(IReadOnlyList<DeviceBudget> budgets, int contextTokens)
    {
        var devices = budgets.Select(budget => Device(budget with { Bytes = null }));
        var plan = Planner.Plan(RequestFor([.. devices], contextTokens));
        var mode = PlanModeNames.NameOf(PlanMode.TensorParallel);
        if (plan.Mode != PlanMode.TensorParallel)
        {
            var obstacle = string.Join(' ', plan.FallbackReasons);
            return new SpreadEstimate(mode, budgets.Count, [], obstacle, new Dictionary<string, long>());
        }

        var weights = TensorParallelWeights.Of(request.Modules, request.DType, budgets.Count);
        return new SpreadEstimate(
            mode,
            budgets.Count,
            [.. plan.Ranks.Select((rank, i) =>
                new DeviceNeed(
                    budgets[i].Device, weights[i], rank.KvBytes, rank.WorkspaceBytes, rank.RuntimeBytes, budgets[i].Bytes))],
            null,
            new Dictionary<string, long>());
    }

    /// <summary>By device map.</summary>
    /// <param name="budgets">Devices; without bytes: nothing is checked.</param>
    /// <param name="spill">Host memory and disk.</param>
    /// <param name="contextTokens">Tokens of a sequence.</param>
    public SpreadEstimate DeviceMap(
        IReadOnlyList<DeviceBudget> budgets, IReadOnlyList<DeviceBudget> spill, int contextTokens)
    {
        var mode = PlanModeNames.NameOf(PlanMode.DeviceMap);
        try
        {
            var planned = RequestFor([.. budgets.Select(Device)], contextTokens);
            var limits = LimitsPlanner.Sizes(planned) with { KvBlocks = planned.Limits.KvBlocks!.Value };
            var model = FitModel.Of(
                request.Spec, request.DType, request.DType, limits, request.CanRun ? null : request.Modules);
            var devices = budgets.Select(budget => new FitDevice(budget.Device, budget.Bytes));
            var placement = FitPlanner.Place(model, [.. devices], spill);
            return new SpreadEstimate(
                mode,
                budgets.Count,
                [.. placement.Stages.Select((stage, i) => Need(model, stage, limits, budgets[i].Bytes, budgets.Count))],
                null,
                placement.Spilled.GroupBy(unit => unit.Value).ToDictionary(
                    place => place.Key, place => place.Sum(unit => unit.Key.WeightBytes)));
        }
        catch (PlanException exception)
        {
            return new SpreadEstimate(mode, budgets.Count, [], exception.Message, new Dictionary<string, long>());
        }
    }

    private DeviceNeed Need(FitModel model, FitStage stage, StepLimits limits, long? budget, int stages)
    {
        var isWhole = stage.Units.Contains(model.Embedding) && stage.Units.Contains(model.Head);
        var weights = stage.Units.Sum(unit => unit.WeightBytes) - (isWhole ? model.SharedBytes : 0);
        var kv = stage.Units.Sum(unit => unit.KvBytes);
        var headTokens = stage.Units.Contains(model.Head) ? request.Spec.VocabularySize : 0;
        var runtime = DeviceRuntime.Bytes(DeviceKinds.Cuda, headTokens, limits, stages);
        return new DeviceNeed(stage.Device.Name, weights, kv, stage.MemoryBytes - weights - kv, runtime, budget);
    }

    private PlanRequest RequestFor(IReadOnlyList<PlanDevice> devices, int contextTokens) =>
        new(request.Spec, devices, request.DType)
        {
            Limits = new LimitsRequest(
                MaxSequences: request.Batch,
                MaxContextTokens: contextTokens,
                KvBlockTokens: BlockTokens,
                KvBlocks: Blocks(contextTokens)),
        };

    private int Blocks(int contextTokens)
    {
        var blocks = request.Batch * (((contextTokens - 1L) / BlockTokens) + 1);
        return blocks <= int.MaxValue
            ? (int)blocks
            : throw new PlanException(
                $"{request.Batch} sequences of {contextTokens} tokens take {blocks} KV blocks, more than can be " +
                "counted; give a smaller " +
                "batch or context.");
    }

    private static PlanDevice Device(DeviceBudget budget) =>
        new($"{DeviceKinds.Cuda}:{budget.Device}", budget.Bytes) { IsExactBudget = true };
}
