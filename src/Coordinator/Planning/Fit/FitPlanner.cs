using TensorParallel.Coordinator.Planning.Offloading;
using TensorParallel.Protocol.Parallel;

namespace TensorParallel.Coordinator.Planning.Fit;

/// <summary>
/// Our own strategy: consecutive units on consecutive devices so that the slowest stage is as fast as it can be, with
/// cache, embedding, head and workspace counted. Nothing is spilled while the devices have room. What must be is spilled by every
/// device from its own units (<see cref="SpillRule"/>), so that every device's bus carries a part of it.
/// </summary>
internal static class FitPlanner
{
    /// <summary>The placement.</summary>
    /// <param name="model">The model.</param>
    /// <param name="devices">Devices, in the order of stages; at least one.</param>
    /// <param name="spill">Host memory and disk, as far as they may be used, and how.</param>
    /// <exception cref="PlanException">It fits nowhere; with numbers.</exception>
    public static FitPlacement Place(FitModel model, IReadOnlyList<FitDevice> devices, FitSpill spill)
    {
        if (!spill.All && Whole(model, devices) is { } placement)
        {
            return placement;
        }

        if (!spill.Places.Any)
        {
            throw new PlanException(TooSmall(model, devices));
        }

        var problem = new FitProblem(model, devices, embeddingStays: true, spill);
        var spilled = Solve(model, problem) ?? throw new PlanException(TooSmallForOffloading(model, devices, spill));
        var modules = SpillPlacement.Of(
            [.. spilled.Stages.Where(stage => stage.Choice is not null)
                .Select(stage => new StageSpill(stage.Weights, stage.Choice!))],
            spill.Places);
        var next = 0;
        return new FitPlacement([.. spilled.Stages.Select(
            stage => stage.Choice is null ? stage : stage with { Offloaded = modules[next++] })]);
    }

    // A stage for the embedding alone costs every token one more way between devices: only where nothing else fits.
    private static FitPlacement? Whole(FitModel model, IReadOnlyList<FitDevice> devices) =>
        new[] { true, false }
            .Select(embeddingStays => Solve(model, new FitProblem(model, devices, embeddingStays)))
            .FirstOrDefault(placement => placement is not null);

    private static FitPlacement? Solve(FitModel model, FitProblem problem)
    {
        if (FitPartition.Find(problem) is not { } ends)
        {
            return null;
        }

        return new FitPlacement([.. ends.Select(Stage)]);

        FitStage Stage(int end, int device)
        {
            var start = device == 0 ? 0 : ends[device - 1];
            return new FitStage(
                problem.Devices[device],
                [.. problem.Units.Skip(start).Take(end - start)],
                problem.MemoryBytes(device, start, end),
                problem.Time(device, start, end),
                model.WeightsOf(start, end),
                problem.Choice(device, start, end));
        }
    }

    private static string TooSmall(FitModel model, IReadOnlyList<FitDevice> devices)
    {
        var largestBudget = devices.Max(device => device.Bytes ?? long.MaxValue);
        var problem = new FitProblem(model, devices, embeddingStays: false);
        var largest = Enumerable.Range(0, model.Units.Count).MaxBy(unit => problem.MemoryBytes(unit, unit + 1));
        var context = Context(model);
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
            $"{Offer(devices)}, in whole layers; use more devices, a " +
            "smaller dtype or a " +
            "shorter --max-context, or let weights lie in host memory: --max-memory …,cpu=….";
    }

    private static string TooSmallForOffloading(FitModel model, IReadOnlyList<FitDevice> devices, FitSpill spill)
    {
        var problem = new FitProblem(model, devices, embeddingStays: true);
        var stage = model.WeightsOf(0, model.Units.Count);
        var all = new SpillRule(spill.Offload).Smallest(stage);
        var kv = model.Units.Sum(unit => unit.KvBytes);
        var workspace = problem.MemoryBytes(0, model.Units.Count) - stage.TotalBytes - kv;
        return $"Even with its weights beside the devices ({spill.Places}) the model needs {ByteText.Of(all.DeviceBytes)} on a device " +
            $"for weights on their way (the largest, {stage.LargestMoved?.Name}, takes {ByteText.Of(stage.LargestMoved?.SlotBytes ?? 0)}) " +
            $"and for those that stay, {ByteText.Of(workspace)} of workspace, and {ByteText.Of(kv)} for the KV cache of " +
            $"{Context(model)}, but {Offer(devices)}: give larger budgets, a shorter --max-context, fewer --max-step-tokens or " +
            "--offload sequential.";
    }

    private static string Context(FitModel model) => $"one context of {model.Limits.MaxContextTokens} tokens";

    private static string Offer(IReadOnlyList<FitDevice> devices) =>
        (devices.Count == 1 ? "the device offers " : $"{devices.Count} devices offer ") +
        ByteText.Of(devices.Sum(device => device.Bytes ?? 0));
}
