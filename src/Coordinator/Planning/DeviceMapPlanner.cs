using TensorParallel.Protocol.Architectures;
using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Protocol.Parallel;

namespace TensorParallel.Coordinator.Planning;

/// <summary>
/// The ranks of a device map: whole layers in sequence over the devices. Which layers is decided before
/// (<see cref="Fit"/>, <see cref="DeviceMaps"/>).
/// </summary>
internal static class DeviceMapPlanner
{
    /// <summary>One rank, with its weights' bytes; cache and workspace are counted later.</summary>
    public static RankPlan Rank(ModelSpec spec, DType dtype, PlanDevice device, int rank, RankStage stage)
    {
        var attention = spec.Blocks[0].Attention;
        var tensors = Tensors(spec, dtype, stage).ToList();
        return new RankPlan(
            rank,
            device.Name,
            tensors.Sum(tensor => tensor.Bytes),
            KvBytes: 0,
            WorkspaceBytes: 0,
            stage.Layers,
            stage.HasEmbedding,
            stage.HasOutputHead,
            new IndexRange(0, stage.Layers.Length == 0 ? 0 : attention.NumAttentionHeads),
            new IndexRange(0, stage.Layers.Length == 0 ? 0 : attention.NumKeyValueHeads),
            tensors);
    }

    /// <summary>What looks odd, and why.</summary>
    public static IEnumerable<string> Notes(ModelSpec spec, IReadOnlyList<RankStage> stages)
    {
        var stageList = stages.ToList();
        var (first, head) = (stageList.FindIndex(s => s.HasEmbedding), stageList.FindIndex(s => s.HasOutputHead));
        if (spec.TieWordEmbeddings && head != first)
        {
            yield return $"{spec.OutputHead.Name} is the table of {spec.Embedding.Name}: rank {first} and rank " +
                $"{head} each hold " +
                "a copy.";
        }

        var filled = stages.Count(stage => stage.Layers.Length > 0);
        var idle = Enumerable.Range(0, stages.Count).Where(rank => stages[rank].IsIdle).ToList();
        if (idle.Count > 0)
        {
            yield return $"{Count(spec.Blocks.Count, "layer")} fill {filled} of {stages.Count} ranks; rank {head} " +
                "holds norm and " +
                $"head, {(idle.Count == 1 ? "rank" : "ranks")} {string.Join(", ", idle)} nothing.";
        }
    }

    private static IEnumerable<TensorSlice> Tensors(ModelSpec spec, DType dtype, RankStage stage)
    {
        var embedding = new ExpectedTensor(spec.Embedding.WeightName, [spec.VocabularySize, spec.HiddenSize]);
        var holdsTiedHead = stage.HasOutputHead && spec.TieWordEmbeddings;
        if (stage.HasEmbedding || holdsTiedHead)
        {
            yield return Whole(embedding, dtype);
        }

        var blocks = spec.Blocks.Skip(stage.Layers.Start).Take(stage.Layers.Length);
        foreach (var tensor in blocks.SelectMany(ModelSpecTensors.Of))
        {
            yield return Whole(tensor, dtype);
        }

        if (stage.HasOutputHead)
        {
            yield return Whole(ModelSpecTensors.Of(spec.FinalNorm), dtype);
            foreach (var tensor in holdsTiedHead ? [] : ModelSpecTensors.Of(spec.OutputHead))
            {
                yield return Whole(tensor, dtype);
            }
        }
    }

    private static TensorSlice Whole(ExpectedTensor tensor, DType dtype) => new(
        tensor.Name, TpStyleCatalog.Replicate.Name, null, [], tensor.Elements * dtype.SizeInBytes());

    private static string Count(int count, string what) => $"{count} {what}{(count == 1 ? "" : "s")}";
}
