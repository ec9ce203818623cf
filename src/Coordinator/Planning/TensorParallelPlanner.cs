using TensorParallel.Protocol.Architectures;
using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Protocol.Parallel;

namespace TensorParallel.Coordinator.Planning;

/// <summary>
/// Every rank's slices under tensor parallelism: attention in whole heads, MLP and vocabulary in units of 16 columns.
/// Used once.
/// </summary>
internal sealed class TensorParallelPlanner(PlanRequest request, ResolvedTpPlan plan)
{
    private readonly ModelSpec _spec = request.Spec;
    private readonly int _ranks = request.Devices.Count;
    private readonly int _elementBytes = request.DType.SizeInBytes();
    private readonly Dictionary<int, UnitPartition> _widths = [];

    /// <summary>
    /// Why so many ranks are too many: one sentence a dimension that would leave a rank with nothing.
    /// </summary>
    public static IReadOnlyList<string> Obstacles(ModelSpec spec, ResolvedTpPlan plan, int ranks) =>
    [
        .. spec.Blocks.SelectMany(block => BlockDimensions(plan, block))
            .Concat(EndDimensions(spec, plan))
            .Where(dimension => dimension.Size < ranks)
            .Select(dimension => dimension.Size == 1
                ? $"The only one of {dimension.What} cannot be cut over {ranks} ranks; use one rank."
                : $"{dimension.Size} {dimension.What} cannot be cut over {ranks} ranks; use at most {dimension.Size}.")
            .Distinct(),
    ];

    /// <summary>The ranks, with their weights' bytes; cache and workspace are counted later.</summary>
    public IReadOnlyList<RankPlan> Ranks() => [.. Enumerable.Range(0, _ranks).Select(Rank)];

    /// <summary>What is uneven or stands twice, and why.</summary>
    public IReadOnlyList<string> Notes() => TensorParallelNotes.Of(_spec, plan, _ranks);

    private static IEnumerable<(int Size, string What)> BlockDimensions(ResolvedTpPlan plan, BlockSpec block)
    {
        var attention = block.Attention;
        if (plan.CutsAttention(block))
        {
            yield return (attention.NumAttentionHeads, "query heads");
        }

        if (plan.CutsMlp(block))
        {
            yield return (block.Mlp.Gate.OutFeatures / block.Mlp.Gate.PackedParts, "MLP columns");
        }

        // Layers that take whole rows and hand on whole ones are cut on their own.
        foreach (var linear in block.Linears.Where(linear => IsOnItsOwn(plan[linear])))
        {
            var name = linear.Name[(linear.Name.LastIndexOf('.') + 1)..];
            yield return plan[linear].WeightDim == 0
                ? (linear.OutFeatures / linear.PackedParts, $"rows of {name}")
                : (linear.InFeatures, $"columns of {name}");
        }
    }

    private static bool IsOnItsOwn(TpStyle style) => style is
    {
        WeightDim: not null,
        InputLayout: ActivationLayout.Replicated,
        OutputLayout: ActivationLayout.Replicated,
    };

    private static IEnumerable<(int Size, string What)> EndDimensions(ModelSpec spec, ResolvedTpPlan plan)
    {
        if (plan[spec.Embedding].WeightDim == 0 || plan[spec.OutputHead].WeightDim == 0)
        {
            yield return (spec.VocabularySize, "tokens of the vocabulary");
        }

        if (plan[spec.OutputHead].WeightDim == 1)
        {
            yield return (spec.HiddenSize, "columns of the output head");
        }
    }

    private RankPlan Rank(int rank)
    {
        List<TensorSlice> tensors =
        [
            Embedding(rank),
            .. _spec.Blocks.SelectMany(block => Block(block, rank)),
            Norm(_spec.FinalNorm),
        ];
        if (!_spec.TieWordEmbeddings)
        {
            tensors.AddRange(Linear(_spec.OutputHead, OwnWidth(_spec.OutputHead, rank)));
        }

        var heads = _spec.Blocks.FirstOrDefault(plan.CutsAttention) is { } block
            ? HeadsOf(block)
            : null;
        var attention = _spec.Blocks[0].Attention;
        return new RankPlan(
            rank,
            request.Devices[rank].Name,
            tensors.Sum(tensor => tensor.Bytes),
            KvBytes: 0,
            WorkspaceBytes: 0,
            new IndexRange(0, _spec.Blocks.Count),
            HasEmbedding: true,
            HasOutputHead: true,
            heads?.QueryHeads(rank) ?? new IndexRange(0, attention.NumAttentionHeads),
            heads?.KeyValueHeads(rank) ?? new IndexRange(0, attention.NumKeyValueHeads),
            tensors);
    }

    private IEnumerable<TensorSlice> Block(BlockSpec block, int rank)
    {
        var attention = block.Attention;
        var heads = plan.CutsAttention(block) ? HeadsOf(block) : null;
        var mlp = plan.CutsMlp(block)
            ? Width(block.Mlp.Gate.OutFeatures / block.Mlp.Gate.PackedParts)[rank]
            : (IndexRange?)null;
        return
        [
            Norm(block.InputNorm),
            .. Linear(attention.Query, heads?.QueryColumns(rank) ?? OwnWidth(attention.Query, rank)),
            .. Linear(attention.Key, heads?.KeyValueColumns(rank) ?? OwnWidth(attention.Key, rank)),
            .. Linear(attention.Value, heads?.KeyValueColumns(rank) ?? OwnWidth(attention.Value, rank)),
            .. Linear(attention.Output, heads?.QueryColumns(rank) ?? OwnWidth(attention.Output, rank)),
            Norm(block.PostAttentionNorm),
            .. Linear(block.Mlp.Gate, mlp ?? OwnWidth(block.Mlp.Gate, rank)),
            .. Linear(block.Mlp.Up, mlp ?? OwnWidth(block.Mlp.Up, rank)),
            .. Linear(block.Mlp.Down, mlp ?? OwnWidth(block.Mlp.Down, rank)),
        ];
    }

    private IEnumerable<TensorSlice> Linear(LinearSpec linear, IndexRange part)
    {
        var style = plan[linear];
        yield return style.CutWeight(linear.WeightName, linear.OutFeatures, linear.InFeatures, part, _elementBytes);
        if (linear.HasBias)
        {
            yield return style.CutBias(linear.BiasName, linear.OutFeatures, part, _elementBytes);
        }
    }

    private TensorSlice Embedding(int rank) => plan[_spec.Embedding].CutWeight(
        _spec.Embedding.WeightName,
        _spec.VocabularySize,
        _spec.HiddenSize,
        plan[_spec.Embedding].WeightDim is null ? default : Width(_spec.VocabularySize)[rank],
        _elementBytes);

    private TensorSlice Norm(NormSpec norm) =>
        TpStyleCatalog.Replicate.CutWeight(norm.WeightName, 1, norm.Size, new IndexRange(0, 1), _elementBytes);

    // Where whole rows go in and come out, no head is at stake: any cut will do.
    private IndexRange OwnWidth(LinearSpec linear, int rank) => plan[linear].WeightDim switch
    {
        0 => Width(linear.OutFeatures / linear.PackedParts)[rank],
        1 => Width(linear.InFeatures)[rank],
        _ => new IndexRange(0, linear.OutFeatures),
    };

    private HeadPartition HeadsOf(BlockSpec block) => new(
        block.Attention.NumAttentionHeads, block.Attention.NumKeyValueHeads, block.Attention.HeadDim, _ranks);

    private UnitPartition Width(int size)
    {
        if (!_widths.TryGetValue(size, out var partition))
        {
            _widths[size] = partition = UnitPartition.OfWidth(size, _ranks);
        }

        return partition;
    }
}
