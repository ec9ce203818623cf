using TensorParallel.Protocol.Architectures;
using TensorParallel.Protocol.Parallel;

namespace TensorParallel.Coordinator.Planning.Offloading;

/// <summary>Gives ranks that are too large for their devices an <see cref="OffloadPlan"/>.</summary>
internal static class OffloadPlanner
{
    /// <summary>
    /// Each rank by itself: what does not fit beside workspace and the least cache leaves its device; where offloading is asked for
    /// without budgets, everything that the kind covers does. A rank that fits in no way keeps the smallest one: its shortage is
    /// reported with those numbers when the cache is counted.
    /// </summary>
    /// <param name="request">What is wanted.</param>
    /// <param name="ranks">With workspace counted.</param>
    /// <param name="cacheBytes">The least KV cache of each rank.</param>
    /// <exception cref="PlanException">What leaves the devices finds no place.</exception>
    public static IReadOnlyList<RankPlan> Spill(PlanRequest request, IReadOnlyList<RankPlan> ranks, IReadOnlyList<long> cacheBytes)
    {
        var places = SpillPlaces.Of(request);
        if (!places.Any)
        {
            return ranks;
        }

        var rule = new SpillRule(request.Offload);
        var spills = ranks.Select((rank, i) =>
        {
            var stage = StageWeights.Of(request.Spec, rank);
            return new StageSpill(stage, Choose(rule, request, stage, Room(request.Devices[i], rank, cacheBytes[i])));
        }).ToList();
        var modules = SpillPlacement.Of(spills, places);
        return [.. ranks.Select((rank, i) => With(request, rank, modules[i], spills[i].Choice.Slots))];
    }

    /// <summary>What a rule takes off one stage.</summary>
    /// <param name="rule">The rule.</param>
    /// <param name="request">Whether everything is to leave.</param>
    /// <param name="stage">The stage.</param>
    /// <param name="room">Device memory for weights and slots; null: not known.</param>
    public static SpillChoice Choose(SpillRule rule, PlanRequest request, StageWeights stage, long? room) =>
        request.OffloadsAll ? rule.All(stage, room)
        : room is { } bytes ? rule.Least(stage, bytes) ?? rule.Smallest(stage)
        : rule.Least(stage, long.MaxValue)!;

    /// <summary>
    /// A rank with modules off its device that were decided elsewhere. As many slots as asked for; else 2, or 1 where 2 do not fit.
    /// </summary>
    public static RankPlan WithModules(
        PlanRequest request, RankPlan rank, IReadOnlyList<OffloadedModule> modules, long? room)
    {
        var plans = request.Offload.SlotCounts.Select(slots => With(request, rank, modules, slots)).ToList();
        return plans.FirstOrDefault(plan => room is null || plan.WeightBytes + (plan.Offload?.StagingBytes ?? 0) <= room) ?? plans[^1];
    }

    /// <summary>Device memory for weights and slots: what workspace and the least cache leave; null: not known.</summary>
    public static long? Room(PlanDevice device, RankPlan rank, long cacheBytes) =>
        device.UsableBeside(rank.RuntimeBytes) - rank.WorkspaceBytes - cacheBytes;

    /// <summary>What is to be known of all ranks' offloading before it runs; sentences.</summary>
    public static IEnumerable<string> Notes(IReadOnlyList<RankPlan> ranks)
    {
        foreach (var same in ranks.Where(rank => rank.Offload is not null).GroupBy(Text))
        {
            var numbers = same.Select(rank => rank.Rank).ToList();
            var who = numbers.Count == ranks.Count && numbers.Count > 1 ? "Each rank"
                : $"{(numbers.Count == 1 ? "Rank" : "Ranks")} {string.Join(", ", numbers)}";
            yield return $"{who}: {same.Key}";
        }
    }

    /// <summary>
    /// Bytes that come to a rank's device in every step: weights off it, but for an embedding whose rows are looked up where it lies.
    /// </summary>
    public static long BusBytes(ModelSpec spec, RankPlan rank)
    {
        if (rank.Offload is not { } offload)
        {
            return 0;
        }

        var table = offload.Modules.FirstOrDefault(module => module.Name == spec.Embedding.Name)?.Bytes ?? 0;
        var isMoved = spec.TieWordEmbeddings && offload.ResidencyOf(spec.OutputHead.Name) != Residency.Device && rank.HasEmbedding;
        return offload.HostBytes + offload.DiskBytes - (isMoved ? 0 : table);
    }

    private static string Text(RankPlan rank)
    {
        var offload = rank.Offload!;
        var places = new[] { (Bytes: offload.HostBytes, Place: "in host memory"), (Bytes: offload.DiskBytes, Place: "on disk") }
            .Where(place => place.Bytes > 0)
            .Select(place => $"{ByteText.Of(place.Bytes)} {place.Place}");
        var modules = offload.Modules.Count == 1 ? "1 module" : $"{offload.Modules.Count} modules";
        var slots = offload.SlotBytes == 0
            ? "its rows are looked up there"
            : $"{(offload.Modules.Count == 1 ? "it comes" : "they come")} to the device by {OffloadKindNames.NameOf(offload.Kind)} through " +
                $"{(offload.Slots == 1 ? "a slot" : $"{offload.Slots} slots")} of {ByteText.Of(offload.SlotBytes)}";
        return $"{modules} ({offload.Modules[0].Name}{(offload.Modules.Count == 1 ? "" : $" … {offload.Modules[^1].Name}")}) " +
            $"{(offload.Modules.Count == 1 ? "is" : "are")} off the device, {string.Join(" and ", places)}; {slots}.";
    }

    private static RankPlan With(PlanRequest request, RankPlan rank, IReadOnlyList<OffloadedModule> modules, int slots)
    {
        if (modules.Count == 0)
        {
            return rank;
        }

        var groups = OffloadGroups.Of(
            request.Spec, request.Offload.KindOrDefault, request.Offload.GroupBlocks, modules, rank.Tensors);
        var offload = new OffloadPlan(
            request.Offload.KindOrDefault,
            request.Offload.GroupBlocks,
            Math.Max(1, Math.Min(slots, groups.Count)),
            groups.Count == 0 ? 0 : groups.Max(group => group.Bytes),
            modules);
        return rank with { WeightBytes = rank.WeightBytes - offload.HostBytes - offload.DiskBytes, Offload = offload };
    }
}
