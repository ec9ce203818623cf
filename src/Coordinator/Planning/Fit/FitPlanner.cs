using TensorParallel.Coordinator.Planning.DeviceMaps;
using TensorParallel.Protocol.Parallel;

namespace TensorParallel.Coordinator.Planning.Fit;

/// <summary>
/// Our own strategy: consecutive units on consecutive devices so that the slowest stage is as fast as it can be, with
/// cache, embedding, head and workspace counted. Nothing is spilled while the devices have room; what must be is the
/// embedding first (a token reads one row of it), then the last layers, as few as possible: to host memory, then to
/// disk.
/// </summary>
internal static class FitPlanner
{
    /// <summary>The placement.</summary>
    /// <param name="model">The model.</param>
    /// <param name="devices">Devices, in the order of stages; at least one.</param>
    /// <param name="spill">Host memory and disk, as far as they may be used.</param>
    /// <exception cref="PlanException">It fits nowhere; with numbers.</exception>
    public static FitPlacement Place(
        FitModel model, IReadOnlyList<FitDevice> devices, IReadOnlyList<DeviceBudget> spill)
    {
        if (Whole(model, devices) is { } placement)
        {
            return placement;
        }

        return spill.Count > 0 ? Spilling(model, devices, spill) : throw new PlanException(TooSmall(model, devices));
    }

    // A stage for the embedding alone costs every token one more way between devices: only where nothing else fits.
    private static FitPlacement? Whole(FitModel model, IReadOnlyList<FitDevice> devices) =>
        new[] { true, false }
            .Select(embeddingStays => Solve(new FitProblem(model, model.Units, devices, embeddingStays), []))
            .FirstOrDefault(placement => placement is not null);

    private static FitPlacement Spilling(
        FitModel model, IReadOnlyList<FitDevice> devices, IReadOnlyList<DeviceBudget> spill)
    {
        // The more layers stay, the more memory they take: the most that fit are found by halving.
        var (fit, tooMany) = (-1, model.Layers.Count);
        while (tooMany - fit > 1)
        {
            var middle = (fit + tooMany) / 2;
            (fit, tooMany) = Keeping(model, devices, middle, keepsEmbedding: false) is null
                ? (fit, middle)
                : (middle, tooMany);
        }

        var placement = fit < 0
            ? null
            : Keeping(model, devices, fit, keepsEmbedding: true) ?? Keeping(model, devices, fit, keepsEmbedding: false);
        return placement is null
            ? throw new PlanException(TooSmall(model, devices))
            : placement with { Spilled = Places(placement, model, spill) };
    }

    // Spilled layers run on the device of the head, between its own layers and the head: it holds their cache, and room
    // for one of them.
    private static FitPlacement? Keeping(
        FitModel model, IReadOnlyList<FitDevice> devices, int layers, bool keepsEmbedding)
    {
        var spilled = model.Layers.Skip(layers).ToList();
        var reserve = spilled.Sum(layer => layer.KvBytes) + spilled.Max(layer => layer.WeightBytes);
        IReadOnlyList<FitUnit> kept =
            [.. keepsEmbedding ? [model.Embedding] : Array.Empty<FitUnit>(), .. model.Layers.Take(layers), model.Head];
        return Solve(new FitProblem(model, kept, devices, embeddingStays: true, reserve), []);
    }

    private static FitPlacement? Solve(FitProblem problem, IReadOnlyList<KeyValuePair<FitUnit, string>> spilled)
    {
        if (FitPartition.Find(problem) is not { } ends)
        {
            return null;
        }

        return new FitPlacement([.. ends.Select(Stage)], spilled);

        FitStage Stage(int end, int device)
        {
            var start = device == 0 ? 0 : ends[device - 1];
            return new FitStage(
                problem.Devices[device],
                [.. problem.Units.Skip(start).Take(end - start)],
                problem.MemoryBytes(start, end),
                problem.Time(device, start, end));
        }
    }

    private static List<KeyValuePair<FitUnit, string>> Places(
        FitPlacement placement, FitModel model, IReadOnlyList<DeviceBudget> spill)
    {
        var kept = placement.Stages.SelectMany(stage => stage.Units).ToHashSet();
        var (place, used) = (0, 0L);
        var places = new List<KeyValuePair<FitUnit, string>>();
        foreach (var unit in model.Units.Where(unit => !kept.Contains(unit)))
        {
            while (place < spill.Count && used + unit.WeightBytes > (spill[place].Bytes ?? long.MaxValue))
            {
                (place, used) = (place + 1, 0);
            }

            if (place == spill.Count)
            {
                throw new PlanException(NoRoomBeside(model, kept, spill));
            }

            used += unit.WeightBytes;
            places.Add(new(unit, spill[place].Device));
        }

        return places;
    }

    private static string NoRoomBeside(FitModel model, HashSet<FitUnit> kept, IReadOnlyList<DeviceBudget> spill)
    {
        var bytes = model.Units.Where(unit => !kept.Contains(unit)).Sum(unit => unit.WeightBytes);
        var offers = string.Join(", ", spill.Select(budget => $"{budget.Device} {ByteText.Of(budget.Bytes ?? 0)}"));
        return $"{ByteText.Of(bytes)} of weights do not fit on the devices, and not beside them either " +
            $"({offers}); give more " +
            "in --max-memory, for example cpu=… or disk=….";
    }

    private static string TooSmall(FitModel model, IReadOnlyList<FitDevice> devices)
    {
        var largestBudget = devices.Max(device => device.Bytes ?? long.MaxValue);
        var problem = new FitProblem(model, model.Units, devices, embeddingStays: false);
        var largest = Enumerable.Range(0, model.Units.Count).MaxBy(unit => problem.MemoryBytes(unit, unit + 1));
        var context = $"one context of {model.Limits.MaxContextTokens} tokens";
        if (problem.MemoryBytes(largest, largest + 1) is var alone && alone > largestBudget)
        {
            return $"For {string.Join(" and ", model.Units[largest].Modules)} alone a device needs " +
                $"{ByteText.Of(alone)}, with " +
                $"workspace and the KV cache of {context}, but the largest one offers " +
                $"{ByteText.Of(largestBudget)}; use larger " +
                "devices, a smaller dtype, a shorter --max-context or fewer --max-step-tokens.";
        }

        var kv = model.Units.Sum(unit => unit.KvBytes);
        var weights = model.Units.Sum(unit => unit.WeightBytes) - model.SharedBytes;
        return $"The model takes {ByteText.Of(weights)} of weights, {ByteText.Of(kv)} for the KV cache of " +
            $"{context} and up to " +
            $"{ByteText.Of(problem.MemoryBytes(0, model.Units.Count) - weights - kv)} of workspace a device, but " +
            $"{(devices.Count == 1 ? "the device offers" : $"{devices.Count} devices offer")} " +
            $"{ByteText.Of(devices.Sum(device => device.Bytes ?? 0))}, in whole layers; use more devices, a " +
            "smaller dtype or a " +
            "shorter --max-context, or give --max-memory with cpu=….";
    }
}
