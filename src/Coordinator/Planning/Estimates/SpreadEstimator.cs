using TensorParallel.Coordinator.Planning.DeviceMaps;
using TensorParallel.Coordinator.Planning.Fit;
using TensorParallel.Coordinator.Planning.Offloading;
using TensorParallel.Protocol.Generation;
using TensorParallel.Protocol.Parallel;

namespace TensorParallel.Coordinator.Planning.Estimates;

/// <summary>What each device holds of a model, by the planners themselves.</summary>
internal sealed class SpreadEstimator(EstimateRequest request)
{
    private const int BlockTokens = 16;

    /// <summary>Tensor parallel over devices.</summary>
    /// <param name="budgets">Devices; without bytes: nothing is checked.</param>
    /// <param name="spill">Host memory and disk.</param>
    /// <param name="contextTokens">Tokens of a sequence.</param>
    public SpreadEstimate TensorParallel(
        IReadOnlyList<DeviceBudget> budgets, IReadOnlyList<DeviceBudget> spill, int contextTokens)
    {
        var whole = WholeTensorParallel(budgets, contextTokens);
        if (whole.Obstacle is not null || (!request.OffloadsAll && (whole.Fits || spill.Count == 0)))
        {
            return whole;
        }

        if (request.CanRun)
        {
            return Spilling(whole, budgets, spill, contextTokens);
        }

        return request.OffloadsAll
            ? whole with { Devices = [], Obstacle = "Offloading in tensor parallelism is estimated only of families that are run." }
            : whole;
    }

    // By the planner itself; families that cannot be computed are not cut there.
    private SpreadEstimate Spilling(
        SpreadEstimate whole, IReadOnlyList<DeviceBudget> budgets, IReadOnlyList<DeviceBudget> spill, int contextTokens)
    {
        try
        {
            var plan = Planner.Plan(RequestFor([.. budgets.Select(Device)], contextTokens) with
            {
                MaxMemory = request.OffloadsAll ? null : [.. budgets, .. spill],
                Offload = request.Offload,
            });
            return whole with
            {
                Devices =
                [
                    .. plan.Ranks.Select((rank, i) => new DeviceNeed(
                        budgets[i].Device, rank.WeightBytes, rank.KvBytes, rank.WorkspaceBytes, rank.RuntimeBytes, budgets[i].Bytes)
                    {
                        StagingBytes = rank.Offload?.StagingBytes ?? 0,
                        BusBytes = OffloadPlanner.BusBytes(request.Spec, rank),
                    }),
                ],
                Spilled = SpilledBytes(plan.Ranks.SelectMany(rank => rank.Offload?.Modules ?? [])),
            };
        }
        catch (PlanException exception)
        {
            return whole with { Obstacle = exception.Message };
        }
    }

    private static Dictionary<string, long> SpilledBytes(IEnumerable<OffloadedModule> modules) => modules
        .GroupBy(module => module.Residency)
        .ToDictionary(place => ResidencyNames.NameOf(place.Key), place => place.Sum(module => module.Bytes));

    private SpreadEstimate WholeTensorParallel(IReadOnlyList<DeviceBudget> budgets, int contextTokens)
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
            var placement = FitPlanner.Place(
                model,
                [.. devices],
                new FitSpill(request.Offload, request.OffloadsAll ? SpillPlaces.Host : SpillPlaces.Of(spill), request.OffloadsAll));
            return new SpreadEstimate(
                mode,
                budgets.Count,
                [.. placement.Stages.Select((stage, i) => Need(stage, model.Head, limits, budgets[i].Bytes, i, placement.Stages))],
                null,
                SpilledBytes(placement.Spilled));
        }
        catch (PlanException exception)
        {
            return new SpreadEstimate(mode, budgets.Count, [], exception.Message, new Dictionary<string, long>());
        }
    }

    private DeviceNeed Need(
        FitStage stage, FitUnit head, StepLimits limits, long? budget, int index, IReadOnlyList<FitStage> stages)
    {
        var weights = stage.Weights.TotalBytes;
        var kv = stage.Units.Sum(unit => unit.KvBytes);
        var (resident, staging) = stage.Choice is { } choice
            ? (choice.ResidentBytes, choice.DeviceBytes - choice.ResidentBytes)
            : (weights, 0);
        var headTokens = stage.Units.Contains(head) ? request.Spec.VocabularySize : 0;
        var runtime = DeviceRuntime.Bytes(
            DeviceKinds.Cuda,
            headTokens,
            limits,
            stages.Count,
            sends: stages.Skip(index + 1).Any(other => other.Units.Count > 0),
            receives: stages.Take(index).Any(other => other.Units.Count > 0));
        return new DeviceNeed(stage.Device.Name, resident, kv, stage.MemoryBytes - resident - staging - kv, runtime, budget)
        {
            StagingBytes = staging,
            BusBytes = stage.Choice?.MovedBytes ?? 0,
        };
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
