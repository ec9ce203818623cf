using System.Text;
using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Protocol.Generation;

namespace TensorParallel.Protocol.Parallel;

/// <summary>From JSON to <see cref="ExecutionPlan"/>: a worker allocates by it, so nothing is taken on trust.</summary>
internal static class PlanJsonReader
{
    private const int MaxRanks = 4096;
    private const int MaxCount = 1 << 30;
    private const int MaxSlots = 64;

    // A pebibyte: far above any model, and so far below the largest number that sums stay in bounds.
    private const long MaxBytes = 1L << 50;

    /// <exception cref="PlanException">Not a sound plan.</exception>
    public static ExecutionPlan Read(string json)
    {
        try
        {
            return ReadPlan(new StrictObject(JsonFile.ParseObject(Encoding.UTF8.GetBytes(json), "plan"), "plan"));
        }
        catch (CheckpointException e)
        {
            throw new PlanException(e.Message);
        }
    }

    private static ExecutionPlan ReadPlan(StrictObject plan)
    {
        var modeName = plan.Text("mode");
        var mode = PlanModeNames.Find(modeName)
            ?? throw plan.Wrong("mode", $"{Quote.Of(modeName)} is neither tensor_parallel nor device_map.");
        var worldSize = plan.Count("world_size", 1, MaxRanks);
        var result = new ExecutionPlan(
            mode,
            worldSize,
            plan.Texts("fallback_reasons"),
            DeviceMap(plan, mode),
            ComputeDType(plan),
            Limits(plan.Object("limits")),
            [.. plan.Objects("ranks").Select(Rank)],
            plan.Texts("notes"))
        {
            DeviceMapBudget = plan.BytesMapOrNull("device_map_budget"),
        };
        plan.End();
        for (var rank = 0; rank < result.Ranks.Count; rank++)
        {
            if (result.Ranks[rank].Rank != rank)
            {
                throw plan.Wrong("ranks", $"entry {rank} is of rank {result.Ranks[rank].Rank}.");
            }
        }

        CheckPlaces(plan, result);
        return result.Ranks.Count == worldSize
            ? result
            : throw plan.Wrong("ranks", $"there are {result.Ranks.Count} for a world_size of {worldSize}.");
    }

    private static IReadOnlyList<KeyValuePair<string, string>>? DeviceMap(StrictObject plan, PlanMode mode)
    {
        var map = plan.TextMapOrNull("device_map");
        return map is null == (mode == PlanMode.TensorParallel)
            ? map
            : throw plan.Wrong("device_map", "it must be there in the mode device_map, and null otherwise.");
    }

    // What a map puts on cpu or disk is brought to the device of some rank.
    private static void CheckPlaces(StrictObject plan, ExecutionPlan result)
    {
        var numbers = result.Ranks.Select(rank => DeviceKinds.NumberOf(rank.Device)).ToHashSet();
        foreach (var (module, place) in result.DeviceMap ?? [])
        {
            var isOffloaded = ResidencyNames.Find(place) is { } residency
                && result.Ranks.Any(rank => rank.Offload?.Modules.Any(offloaded => offloaded.Residency == residency) ?? false);
            if (!isOffloaded && !numbers.Contains(place))
            {
                throw plan.Wrong("device_map", $"{Quote.Of(module)} is on {Quote.Of(place)}, which is no rank's device.");
            }
        }
    }

    private static DType ComputeDType(StrictObject plan)
    {
        var name = plan.Text("dtype");
        return DTypes.TryParseHuggingFace(name, out var dtype) && dtype is DType.F32 or DType.BF16 or DType.F16
            ? dtype
            : throw plan.Wrong("dtype", $"{Quote.Of(name)} is not float32, bfloat16 or float16.");
    }

    private static StepLimits Limits(StrictObject limits)
    {
        var result = new StepLimits(
            limits.Count("max_step_tokens", 1, MaxCount),
            limits.Count("max_sequences", 1, MaxCount),
            limits.Count("max_context_tokens", 1, MaxCount),
            limits.Count("kv_block_tokens", 1, MaxCount),
            limits.Count("kv_blocks", 1, MaxCount));
        limits.End();
        return result;
    }

    private static RankPlan Rank(StrictObject rank)
    {
        var result = new RankPlan(
            rank.Count("rank", 0, MaxRanks),
            rank.Text("device"),
            rank.Bytes("weight_bytes"),
            rank.Bytes("kv_bytes"),
            rank.Bytes("workspace_bytes"),
            rank.Range("layers"),
            rank.Flag("has_embedding"),
            rank.Flag("has_output_head"),
            rank.Range("query_heads"),
            rank.Range("key_value_heads"),
            [.. rank.Objects("tensors").Select(Tensor)])
        {
            Offload = rank.ObjectOrNull("offload") is { } offload ? Offload(offload) : null,
            RuntimeBytes = rank.Bytes("runtime_bytes"),
            BudgetBytes = rank.BytesOrNull("budget_bytes"),
        };
        rank.End();
        var duplicate = result.Tensors.GroupBy(tensor => tensor.Name).FirstOrDefault(group => group.Count() > 1);
        return duplicate is null
            ? result
            : throw rank.Wrong("tensors", $"tensor {Quote.Of(duplicate.Key)} is there {duplicate.Count()} times.");
    }

    private static OffloadPlan Offload(StrictObject offload)
    {
        var kind = offload.Text("kind");
        var result = new OffloadPlan(
            OffloadKindNames.Find(kind) ?? throw offload.Wrong("kind", $"{Quote.Of(kind)} is none of {string.Join(", ", OffloadKindNames.All)}."),
            offload.Count("blocks_per_group", 1, MaxCount),
            offload.Count("slots", 1, MaxSlots),
            offload.Bytes("slot_bytes", MaxBytes),
            [.. offload.Objects("modules").Select(Module)]);
        offload.End();
        return result.Modules.Select(module => module.Name).Distinct().Count() == result.Modules.Count
            ? result
            : throw offload.Wrong("modules", "a module is there more than once.");
    }

    private static OffloadedModule Module(StrictObject module)
    {
        var residency = module.Text("residency");
        var result = new OffloadedModule(
            module.Text("name"),
            ResidencyNames.Find(residency) is { } place and not Residency.Device
                ? place
                : throw module.Wrong("residency", $"{Quote.Of(residency)} is neither {ResidencyNames.Cpu} nor {ResidencyNames.Disk}."),
            module.Bytes("bytes", MaxBytes));
        module.End();
        return result;
    }

    private static TensorSlice Tensor(StrictObject tensor)
    {
        var style = tensor.Text("style");
        var dim = tensor.CountOrNull("dim", 0, 1);
        var result = new TensorSlice(
            tensor.Text("name"),
            TpStyleCatalog.Find(style)?.Name ?? throw tensor.Wrong("style", $"{Quote.Of(style)} is no style."),
            dim,
            tensor.Ranges("ranges"),
            tensor.Bytes("bytes", MaxBytes));
        tensor.End();
        return result.Ranges.Count == 0 == dim is null
            ? result
            : throw tensor.Wrong("ranges", "they must be there when dim is, and empty when it is null.");
    }
}
