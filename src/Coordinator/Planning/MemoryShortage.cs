using TensorParallel.Coordinator.Planning.Offloading;
using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Protocol.Generation;
using TensorParallel.Protocol.Parallel;

namespace TensorParallel.Coordinator.Planning;

/// <summary>A rank that does not fit its device's memory: how much is missing, and what would fit.</summary>
/// <param name="Request">What was wanted.</param>
/// <param name="Limits">The sizes planned with.</param>
/// <param name="Ranks">All ranks.</param>
/// <param name="Rank">The one that does not fit.</param>
/// <param name="BlockBytes">Bytes of a KV block on it; 0 where it holds no layer.</param>
/// <param name="KvBlocks">KV blocks it needs at least.</param>
/// <param name="UsableBytes">What it may fill.</param>
internal sealed record MemoryShortage(
    PlanRequest Request, StepLimits Limits, IReadOnlyList<RankPlan> Ranks, int Rank, long BlockBytes, int KvBlocks, long UsableBytes)
{
    // Advice is given in round numbers, and not for contexts that nobody wants.
    private const int ContextStep = 256;
    private const int MostDevices = 64;

    private RankPlan Plan => Ranks[Rank];

    private long StagingBytes => Plan.Offload?.StagingBytes ?? 0;

    private long FixedBytes => Plan.WeightBytes + StagingBytes + Plan.WorkspaceBytes;

    /// <summary>One sentence.</summary>
    public string Text()
    {
        var device = Request.Devices[Rank];
        var kvBytes = KvBlocks * BlockBytes;
        var missing = FixedBytes + kvBytes - UsableBytes;
        if (Plan.Offload is { SlotBytes: var slot } && slot > UsableBytes)
        {
            return $"Rank {Plan.Rank} ({device.Name}) must have {LargestMoved()} on its device to compute it, which takes " +
                $"{ByteText.Of(slot)}, but {Memory(device)} {ByteText.Of(UsableBytes)}: with {ByteText.Of(Plan.WorkspaceBytes)} for " +
                $"activations and sampling and {ByteText.Of(kvBytes)} for the KV cache {ByteText.Of(missing)} are missing; " +
                $"{string.Join(", or ", Advice())}.";
        }

        var slots = Plan.Offload is { SlotBytes: > 0 } offload
            ? $"{ByteText.Of(offload.StagingBytes)} for {(offload.Slots == 1 ? "a slot" : $"{offload.Slots} slots")} that the others come " +
                "through, "
            : "";
        var stay = Plan.Offload is null ? "for weights" : "for weights that stay on it";
        return $"Rank {Plan.Rank} ({device.Name}) needs {ByteText.Of(Plan.WeightBytes)} {stay}, {slots}" +
            $"{ByteText.Of(Plan.WorkspaceBytes)} for activations and sampling and {ByteText.Of(kvBytes)} for the KV " +
            $"cache, but {Memory(device)} {ByteText.Of(UsableBytes)}: " +
            $"{ByteText.Of(missing)} are missing; {string.Join(", or ", Advice())}.";
    }

    private string LargestMoved()
    {
        var offload = Plan.Offload!;
        var largest = OffloadGroups.Of(Request.Spec, offload.Kind, offload.BlocksPerGroup, offload.Modules, Plan.Tensors)
            .MaxBy(group => group.Bytes)!.Modules;
        return largest.Count == 1 ? largest[0] : $"{largest[0]} … {largest[^1]} together";
    }

    private string Memory(PlanDevice device) => device.IsExactBudget
        ? "its budget is"
        : Plan.RuntimeBytes > 0
        ? $"its {ByteText.Of(device.MemoryBytes ?? 0)} of memory{Others(device)} less {ByteText.Of(Plan.RuntimeBytes)} for driver and " +
            "libraries and a fiftieth are"
        : "nine tenths of its memory are";

    private static string Others(PlanDevice device) => device.TotalBytes is { } total && device.MemoryBytes is { } free
        ? $" that are free of {ByteText.Of(total)} (other processes hold {ByteText.Of(Math.Max(0, total - free))})"
        : "";

    private IEnumerable<string> Advice()
    {
        if (BlockBytes > 0)
        {
            var blocks = Math.Max(0, UsableBytes - FixedBytes) / BlockBytes;
            var tokens = Math.Min(blocks * Limits.KvBlockTokens, Limits.MaxContextTokens) / ContextStep * ContextStep;
            if (tokens > 0 && tokens < Limits.MaxContextTokens)
            {
                yield return $"give --max-context {tokens}, which fits";
            }
        }

        if (Plan.Offload is null && Devices() is { } devices)
        {
            yield return $"use {devices} such devices";
        }

        if (Request.DType == DType.F32)
        {
            yield return "give --dtype bfloat16, which halves the weights";
        }

        if (Plan.WorkspaceBytes > (Plan.WeightBytes + StagingBytes) / 4)
        {
            yield return $"give a smaller --max-step-tokens (now {Limits.MaxStepTokens}) or --max-sequences (now {Limits.MaxSequences})";
        }

        foreach (var way in OffloadAdvice())
        {
            yield return way;
        }

        yield return "use devices with more free memory";
    }

    private IEnumerable<string> OffloadAdvice()
    {
        if (Request.UseDeviceMap && Request.DeviceMap != DeviceMapPlan.Fit)
        {
            yield return $"give --device-map {DeviceMapPlan.Fit}, which leaves room for them";
        }

        if (Plan.Offload is null)
        {
            var smallest = new SpillRule(Request.Offload).Smallest(StageWeights.Of(Request.Spec, Plan)).DeviceBytes;
            if (smallest + Plan.WorkspaceBytes + (KvBlocks * BlockBytes) <= UsableBytes)
            {
                yield return Request.MaxMemory is null
                    ? "give --offload group, which keeps weights in host memory"
                    : "let weights lie in host memory: --max-memory …,cpu=…";
            }
        }
        else if (Plan.Offload is { Kind: OffloadKind.Model })
        {
            yield return "give --offload group, which brings less at a time";
        }
        else if (Plan.Offload is { BlocksPerGroup: > 1 })
        {
            yield return $"give a smaller --blocks-per-group (now {Plan.Offload.BlocksPerGroup})";
        }
        else if (Plan.Offload is { Slots: > 1 })
        {
            yield return $"give fewer --offload-slots (now {Plan.Offload.Slots})";
        }
    }

    // An estimate: weights and cache shared evenly, activations on each as now. Null where even many are not enough.
    private int? Devices()
    {
        var shared = Ranks.Sum(rank => rank.WeightBytes) + (KvBlocks * BlockBytes * Ranks.Count);
        return Enumerable.Range(Ranks.Count + 1, MostDevices)
            .Cast<int?>()
            .FirstOrDefault(count => (shared / count) + Plan.WorkspaceBytes <= UsableBytes);
    }
}
