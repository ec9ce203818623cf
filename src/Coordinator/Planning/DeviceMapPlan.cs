using TensorParallel.Coordinator.Planning.DeviceMaps;
using TensorParallel.Coordinator.Planning.Fit;
using TensorParallel.Coordinator.Planning.ModuleTrees;
using TensorParallel.Coordinator.Planning.Offloading;
using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Protocol.Parallel;

namespace TensorParallel.Coordinator.Planning;

/// <summary>A device map, and the plan to run it where it can be run.</summary>
/// <param name="Placed">The map and its budgets.</param>
/// <param name="DType">Dtype of the weights.</param>
/// <param name="Plan">Null: it cannot be run.</param>
/// <param name="Obstacle">Why not, in one sentence; empty where it can be.</param>
internal sealed record DeviceMapPlan(PlacedMap Placed, DType DType, ExecutionPlan? Plan, string Obstacle)
{
    /// <summary>Our own strategy.</summary>
    public const string Fit = "fit";

    private const string Custom = "custom";

    /// <summary>Makes the map, and the plan if the map allows one.</summary>
    /// <param name="request">What is wanted.</param>
    /// <param name="fallbackReasons">Why it is not a tensor-parallel plan; empty: a device map was asked for.</param>
    /// <exception cref="PlanException">The request is wrong, or <c>fit</c> finds no place for the model.</exception>
    public static DeviceMapPlan Make(PlanRequest request, IReadOnlyList<string> fallbackReasons)
    {
        if (request.DeviceMap == Fit)
        {
            return MakeFit(request, fallbackReasons);
        }

        var tree = request.Modules ?? throw new PlanException(
            $"The modules of {request.Spec.ModelType} are not known as transformers builds them, which --device-map " +
            $"{request.DeviceMap} needs; use {Fit}.");
        var sizes = new ModuleSizes(tree, request.DType);
        var budgets = request.MaxMemory ?? DeviceBudget.InOrder(request.Devices.Select(Budget));
        var placed = DeviceMapStrategy.Find(request.DeviceMap) is { } strategy
            ? strategy.Place(sizes, budgets)
            : new PlacedMap(Custom, CustomMap.Read(request.DeviceMap, sizes, budgets), budgets, []);
        if (!request.CanCompute)
        {
            return new DeviceMapPlan(placed, request.DType, null, NotComputed(request));
        }

        var numbers = request.Devices.Select(device => device.Number).ToList();
        if (RunnableStages.Of(placed.Map, request.Spec, numbers, out var obstacle) is not { } stages)
        {
            return new DeviceMapPlan(placed, request.DType, null, obstacle);
        }

        // Accelerate counts weights only: cache and workspace may find no room beside them.
        try
        {
            var devices = stages.Places
                .Select(place => request.Devices.First(device => device.Number == place))
                .ToList();
            var plan = Complete(
                request with { Devices = devices }, fallbackReasons, placed, stages.Stages, stages.Notes, stages.OffloadedOf);
            return new DeviceMapPlan(placed, request.DType, plan, "");
        }
        catch (PlanException exception)
        {
            return new DeviceMapPlan(placed, request.DType, null, exception.Message);
        }
    }

    private static DeviceMapPlan MakeFit(PlanRequest request, IReadOnlyList<string> fallbackReasons)
    {
        Planner.CheckDevices(request.Devices);
        var model = FitModelOf(request);
        var devices = request.Devices.Select(
            device => new FitDevice(device.Number, device.UsableBeside(MostRuntimeBytes(request, device)), device.Speed));
        var placement = FitPlanner.Place(model, [.. devices], FitSpill.Of(request));
        var placed = new PlacedMap(
            Fit,
            placement.ToMap(model),
            request.MaxMemory ?? [.. request.Devices.Select(Budget)],
            request.CanCompute ? [] : SpillNotes(placement));
        if (!request.CanCompute)
        {
            return new DeviceMapPlan(placed, request.DType, null, NotComputed(request));
        }

        var off = placement.Spilled.ToDictionary(module => module.Name, module => module.Residency);
        var plan = Complete(request, fallbackReasons, placed, [.. placement.Stages.Select(StageOf)], [], stage =>
        [
            .. new[] { stage.Embedding }.Concat(stage.Blocks.Cast<StageModule?>()).Append(stage.Head)
                .OfType<StageModule>()
                .Where(module => off.ContainsKey(module.Name))
                .Select(module => new OffloadedModule(module.Name, off[module.Name], module.Bytes)),
        ]);
        return new DeviceMapPlan(placed, request.DType, plan, "");

        RankStage StageOf(FitStage stage)
        {
            var layers = stage.Units.Where(unit => unit.Layer is not null).Select(unit => unit.Layer!.Value).ToList();
            var range = layers.Count == 0 ? new IndexRange(0, 0) : new IndexRange(layers[0], layers[^1] + 1);
            return new RankStage(range, stage.Units.Contains(model.Embedding), stage.Units.Contains(model.Head));
        }
    }

    // Of a stage between two others that has the head as well: which stage a device gets is decided later.
    private static long MostRuntimeBytes(PlanRequest request, PlanDevice device)
    {
        var isGroup = request.Devices.Count > 1;
        return DeviceRuntime.Bytes(
            device.Name, request.Spec.VocabularySize, LimitsPlanner.Sizes(request), request.Devices.Count, sends: isGroup, receives: isGroup);
    }

    private static FitModel FitModelOf(PlanRequest request)
    {
        var limits = LimitsPlanner.Sizes(request) with { KvBlocks = request.Limits.KvBlocks ?? 0 };
        var activation = request.Devices
            .Select(device => DeviceKinds.ActivationDType(device.Name, request.DType))
            .MaxBy(dtype => dtype.SizeInBytes());
        return FitModel.Of(request.Spec, request.DType, activation, limits, request.CanCompute ? null : request.Modules);
    }

    private static ExecutionPlan Complete(
        PlanRequest request,
        IReadOnlyList<string> fallbackReasons,
        PlacedMap placed,
        IReadOnlyList<RankStage> stages,
        IReadOnlyList<string> notes,
        Func<StageWeights, IReadOnlyList<OffloadedModule>> offloadedOf)
    {
        var draft = new ExecutionPlan(
            PlanMode.DeviceMap,
            request.Devices.Count,
            fallbackReasons,
            placed.Map.Entries,
            request.DType,
            LimitsPlanner.Sizes(request),
            [.. stages.Select((stage, rank) =>
                DeviceMapPlanner.Rank(request.Spec, request.DType, request.Devices[rank], rank, stage))],
            [.. placed.Notes, .. notes, .. DeviceMapPlanner.Notes(request.Spec, stages)])
        {
            DeviceMapBudget = placed.BudgetEntries,
        };
        return LimitsPlanner.Complete(request, draft, (ranks, cacheBytes) => request.OffloadsAll
            ? OffloadPlanner.Spill(request, ranks, cacheBytes)
            :
        [
            .. ranks.Select((rank, i) =>
            {
                var stage = StageWeights.Of(request.Spec, rank);
                return OffloadPlanner.WithModules(
                    request, rank, offloadedOf(stage), OffloadPlanner.Room(request.Devices[i], rank, cacheBytes[i]));
            }),
        ]);
    }

    private static IReadOnlyList<string> SpillNotes(FitPlacement placement) =>
    [
        .. placement.Spilled.GroupBy(module => module.Residency).Select(place =>
            $"{place.Count()} modules of {ByteText.Of(place.Sum(module => module.Bytes))} are on " +
            $"{ResidencyNames.NameOf(place.Key)}, beginning with {place.First().Name}: the devices have no room for them."),
    ];

    private static DeviceBudget Budget(PlanDevice device) => new(device.Number, device.UsableBytes);

    private static string NotComputed(PlanRequest request) =>
        $"Models of type {request.Spec.ModelType} can be planned, but not run yet.";
}
