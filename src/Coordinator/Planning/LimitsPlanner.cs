using TensorParallel.Coordinator.Planning.Offloading;
using TensorParallel.Protocol.Generation;
using TensorParallel.Protocol.Parallel;

namespace TensorParallel.Coordinator.Planning;

/// <summary>
/// Chooses the sizes that ranks allocate for, and counts the bytes. Defaults: 512 rows (2,048 on GPUs of 16 GiB and more) and 16 sequences a step,
/// contexts up to 8192 tokens or the model's own limit, KV blocks of 16 positions, and as many of them as 16 full
/// contexts need, but no more than fit: what is free of a GPU's memory but for driver, libraries and a fiftieth, nine tenths of another
/// device's where it is known, 1 GiB a rank where it is not, and never less than one full context.
/// </summary>
internal static class LimitsPlanner
{
    private const int DefaultStepTokens = 512;

    // Activations of 2,048 rows take 0.26 GiB with the 8B shape: little of such a GPU, much of a small one.
    private const long RoomyBytes = 16L << 30;
    private const int DefaultSequences = 16;
    private const int DefaultContextTokens = 8192;
    private const int DefaultBlockTokens = 16;
    private const long UnknownMemoryKvBytes = 1L << 30;

    // Far above any use; keeps a mistyped number from becoming an allocation.
    private const int MostStepTokens = 1 << 20;
    private const int MostSequences = 1 << 16;
    private const int MostBlockTokens = 1 << 12;
    private const int MostBlocks = 1 << 30;

    /// <summary>Everything but the number of KV blocks, which is 0 until the ranks' bytes are known.</summary>
    /// <exception cref="PlanException">Asked sizes that are out of range or contradict the model.</exception>
    public static StepLimits Sizes(PlanRequest request)
    {
        var (asked, model) = (request.Limits, request.Spec.MaxPositionEmbeddings);
        var problems = new List<string>();
        Check(asked.MaxSequences, 1, MostSequences, "sequences in a step");
        var sequences = asked.MaxSequences ?? DefaultSequences;
        Check(asked.MaxStepTokens, Math.Clamp(sequences, 1, MostSequences), MostStepTokens, "tokens in a step, of which each sequence may need one,");
        Check(asked.KvBlockTokens, 1, MostBlockTokens, "positions in a KV block");
        Check(asked.KvBlocks, 1, MostBlocks, "KV blocks");
        Check(asked.MaxContextTokens, 1, model, "tokens of context (max_position_embeddings is the model's limit)");
        return problems.Count > 0
            ? throw new PlanException(problems)
            : new StepLimits(
                asked.MaxStepTokens ?? Math.Max(StepTokens(request), sequences),
                sequences,
                asked.MaxContextTokens ?? Math.Min(model, DefaultContextTokens),
                asked.KvBlockTokens ?? DefaultBlockTokens,
                KvBlocks: 0);

        void Check(int? value, int least, int most, string what)
        {
            if (value < least || value > most)
            {
                problems.Add($"{value} {what} are asked for, but it must be from {least} to {most}.");
            }
        }
    }

    /// <summary>The plan with what is off the devices decided, its KV blocks chosen and all bytes counted.</summary>
    /// <param name="request">What is wanted.</param>
    /// <param name="draft">The ranks with their weights.</param>
    /// <param name="offload">
    /// From ranks whose workspace is counted, and the least cache of each, to the same ranks with what is off their devices.
    /// </param>
    /// <exception cref="PlanException">
    /// A rank's memory is too small for weights, activations and one full context.
    /// </exception>
    public static ExecutionPlan Complete(
        PlanRequest request, ExecutionPlan draft, Func<IReadOnlyList<RankPlan>, IReadOnlyList<long>, IReadOnlyList<RankPlan>> offload)
    {
        var limits = draft.Limits;
        var ranks = draft.Ranks.Select(rank => rank with
        {
            WorkspaceBytes = WorkspaceBuffers.Bytes(
                request.Spec,
                rank,
                limits,
                DeviceKinds.ActivationDType(rank.Device, request.DType),
                draft.WorldSize),
            RuntimeBytes = DeviceRuntime.Bytes(
                rank.Device,
                WorkspaceBuffers.HeadTokens(request.Spec, rank),
                limits,
                draft.WorldSize,
                sends: HasStage(draft, rank, before: false),
                receives: HasStage(draft, rank, before: true)),
        }).ToList();
        var blockBytes = ranks
            .Select(rank => KvCacheBytes.OfBlock(request.Spec, rank, limits.KvBlockTokens, request.DType))
            .ToList();
        var (wanted, least) = WantedBlocks(request, limits);
        ranks = [.. offload(ranks, [.. blockBytes.Select(bytes => checked(bytes * least))])];
        limits = limits with { KvBlocks = Blocks(request, limits, ranks, blockBytes, wanted, least) };
        var complete = ranks.Zip(blockBytes, (rank, bytes) => rank with
        {
            KvBytes = checked(bytes * limits.KvBlocks),
            BudgetBytes = request.Devices[rank.Rank] is { IsExactBudget: true, MemoryBytes: { } budget } ? budget : null,
        }).ToList();
        return draft with { Limits = limits, Ranks = complete, Notes = [.. draft.Notes, .. OffloadPlanner.Notes(complete)] };
    }

    // Steps that are long enough for every device, where each has the room: four GPUs compute 2,048 rows in 20 ms and four times 512 in 33.
    private static int StepTokens(PlanRequest request) => request.Devices
        .Select(device => device.MemoryBytes < RoomyBytes ? DefaultStepTokens : DeviceKinds.StepRows(device.Name))
        .DefaultIfEmpty(DefaultStepTokens)
        .Min();

    // Whether a stage with something to compute stands before or behind this one.
    private static bool HasStage(ExecutionPlan draft, RankPlan rank, bool before) => draft.Mode == PlanMode.DeviceMap
        && IsUsed(rank)
        && draft.Ranks.Any(other => (before ? other.Rank < rank.Rank : other.Rank > rank.Rank) && IsUsed(other));

    private static bool IsUsed(RankPlan rank) => rank.Layers.Length > 0 || rank.HasEmbedding || rank.HasOutputHead;

    // As many as are wanted, and the fewest that will do: one full context, or what is asked for.
    private static (int Wanted, int Least) WantedBlocks(PlanRequest request, StepLimits limits)
    {
        var oneContext = ((limits.MaxContextTokens - 1) / limits.KvBlockTokens) + 1;
        var wanted = request.Limits.KvBlocks ?? (int)Math.Min((long)oneContext * limits.MaxSequences, MostBlocks);
        return wanted >= oneContext
            ? (wanted, request.Limits.KvBlocks ?? oneContext)
            : throw new PlanException(
                $"{wanted} KV blocks are asked for, but one context of {limits.MaxContextTokens} tokens takes " +
                $"{oneContext}; ask for more blocks or for shorter contexts.");
    }

    private static int Blocks(
        PlanRequest request, StepLimits limits, List<RankPlan> ranks, List<long> blockBytes, int wanted, int least)
    {
        var problems = new List<string>();
        var blocks = (long)wanted;
        for (var i = 0; i < ranks.Count; i++)
        {
            if (blockBytes[i] == 0)
            {
                if (request.Devices[i].UsableBeside(ranks[i].RuntimeBytes) < DeviceWeights(ranks[i]) + ranks[i].WorkspaceBytes)
                {
                    problems.Add(Shortage(i, 0));
                }

                continue;
            }

            var fit = Budget(request.Devices[i], ranks[i]) / blockBytes[i];
            if (request.Devices[i].MemoryBytes is not null && fit < least)
            {
                problems.Add(Shortage(i, least));
            }
            else if (request.Limits.KvBlocks is null)
            {
                blocks = Math.Max(least, Math.Min(blocks, fit));
            }
        }

        return problems.Count == 0 ? (int)blocks : throw new PlanException(problems);

        string Shortage(int rank, int kvBlocks) => new MemoryShortage(
            request, limits, ranks, rank, blockBytes[rank], kvBlocks, request.Devices[rank].UsableBeside(ranks[rank].RuntimeBytes)!.Value).Text();
    }

    private static long Budget(PlanDevice device, RankPlan rank) => device.UsableBeside(rank.RuntimeBytes) is { } memory
        ? Math.Max(0, memory - DeviceWeights(rank) - rank.WorkspaceBytes)
        : UnknownMemoryKvBytes;

    private static long DeviceWeights(RankPlan rank) => rank.WeightBytes + (rank.Offload?.StagingBytes ?? 0);
}
