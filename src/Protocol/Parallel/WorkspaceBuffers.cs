using TensorParallel.Protocol.Architectures;
using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Protocol.Generation;

namespace TensorParallel.Protocol.Parallel;

/// <summary>
/// The activation buffers of a rank for the largest step: what the plan counts and the worker allocates, from one
/// formula. T = most tokens of a step, S = most sequences, H = hidden size, d = head size, q, kv, I = this rank's query
/// heads, KV heads and MLP columns (the most of any of its blocks), V = its vocabulary rows.
/// </summary>
public static class WorkspaceBuffers
{
    /// <summary>I32 [1, T].</summary>
    public const string TokenIds = "token_ids";

    /// <summary>I32 [1, T].</summary>
    public const string Positions = "positions";

    /// <summary>I32 [1, T].</summary>
    public const string RowSequences = "row_sequences";

    /// <summary>I32 [1, S + 1].</summary>
    public const string QueryStarts = "query_starts";

    /// <summary>I32 [S, blocks of the longest context].</summary>
    public const string BlockTables = "block_tables";

    /// <summary>I32 [1, S]: rows whose logits are wanted.</summary>
    public const string SampleRows = "sample_rows";

    /// <summary>F32 [longest context, rotary dimensions]: cosines, then sines.</summary>
    public const string RopeCosSin = "rope_cos_sin";

    /// <summary>[T, H].</summary>
    public const string Residual = "residual";

    /// <summary>[T, H].</summary>
    public const string Normed = "normed";

    /// <summary>[T, (q + 2·kv) · d].</summary>
    public const string FusedQkv = "qkv";

    /// <summary>[T, q · d].</summary>
    public const string AttentionOut = "attention_out";

    /// <summary>[T, H]: output of o_proj and of down_proj, summed in place.</summary>
    public const string ProjectionOut = "projection_out";

    /// <summary>[T, 2 · I].</summary>
    public const string GateUp = "gate_up";

    /// <summary>[T, I].</summary>
    public const string Activated = "activated";

    /// <summary>
    /// [T, widest part that this rank adds to an all-gather]; only with gathering styles inside blocks.
    /// </summary>
    public const string GatherPart = "gather_part";

    /// <summary>[S, H]: the normed rows whose logits are wanted.</summary>
    public const string GatheredRows = "gathered_rows";

    /// <summary>F32 [S, V].</summary>
    public const string Logits = "logits";

    /// <summary>F32 [S, whole vocabulary]; only where the head is cut by vocabulary over several ranks.</summary>
    public const string WholeLogits = "whole_logits";

    /// <summary>The buffers in allocation order; none for a rank with neither blocks nor embedding nor head.</summary>
    /// <param name="spec">The model.</param>
    /// <param name="rank">The rank; its WorkspaceBytes is not read.</param>
    /// <param name="limits">The largest step.</param>
    /// <param name="activation">Dtype of activations: see <see cref="DeviceKinds.ActivationDType"/>.</param>
    public static IReadOnlyList<WorkspaceBuffer> For(
        ModelSpec spec, RankPlan rank, StepLimits limits, DType activation)
    {
        var slices = rank.Tensors.ToDictionary(slice => slice.Name);
        var (tokens, hidden) = (limits.MaxStepTokens, spec.HiddenSize);
        var buffers = new List<WorkspaceBuffer>();
        if (rank.HasEmbedding)
        {
            buffers.Add(new(TokenIds, 1, tokens, DType.I32));
        }

        if (rank.HasEmbedding || rank.HasOutputHead || rank.Layers.Length > 0)
        {
            buffers.Add(new(Residual, tokens, hidden, activation));
            buffers.Add(new(Normed, tokens, hidden, activation));
        }

        if (rank.Layers.Length > 0)
        {
            buffers.AddRange(StepInputs(spec, limits));
            buffers.AddRange(BlockBuffers(spec, rank, slices, tokens, activation));
        }

        if (rank.HasOutputHead)
        {
            buffers.AddRange(HeadBuffers(spec, slices, limits.MaxSequences, activation));
        }

        return buffers;
    }

    /// <summary>Sum of the buffers' bytes.</summary>
    public static long Bytes(ModelSpec spec, RankPlan rank, StepLimits limits, DType activation) =>
        For(spec, rank, limits, activation).Sum(buffer => buffer.Bytes);

    private static IEnumerable<WorkspaceBuffer> StepInputs(ModelSpec spec, StepLimits limits)
    {
        var contextBlocks = ((limits.MaxContextTokens - 1) / limits.KvBlockTokens) + 1;
        var rotaryDim = spec.Blocks.Max(block => block.Attention.Rope.RotaryDim);
        yield return new(Positions, 1, limits.MaxStepTokens, DType.I32);
        yield return new(RowSequences, 1, limits.MaxStepTokens, DType.I32);
        yield return new(QueryStarts, 1, limits.MaxSequences + 1, DType.I32);
        yield return new(BlockTables, limits.MaxSequences, contextBlocks, DType.I32);
        yield return new(RopeCosSin, limits.MaxContextTokens, rotaryDim, DType.F32);
    }

    private static IEnumerable<WorkspaceBuffer> BlockBuffers(
        ModelSpec spec, RankPlan rank, Dictionary<string, TensorSlice> slices, int tokens, DType activation)
    {
        var blocks = Enumerable.Range(rank.Layers.Start, rank.Layers.Length)
            .Select(i => (spec.Blocks[i].Attention.HeadDim, Layout: BlockLayout.Of(spec.Blocks[i], slices)))
            .ToList();
        var mlp = blocks.Max(block => block.Layout.MlpColumns.Length);
        yield return new(FusedQkv, tokens, blocks.Max(b => b.Layout.FusedColumns(b.HeadDim)), activation);
        yield return new(AttentionOut, tokens, blocks.Max(b => b.Layout.QueryHeads.Length * b.HeadDim), activation);
        yield return new(ProjectionOut, tokens, spec.HiddenSize, activation);
        yield return new(GateUp, tokens, checked(2 * mlp), activation);
        yield return new(Activated, tokens, mlp, activation);
        var gather = blocks.Max(block => block.Layout.GatherColumns);
        if (gather > 0)
        {
            yield return new(GatherPart, tokens, gather, activation);
        }
    }

    private static IEnumerable<WorkspaceBuffer> HeadBuffers(
        ModelSpec spec, Dictionary<string, TensorSlice> slices, int sequences, DType activation)
    {
        var head = slices[spec.TieWordEmbeddings ? spec.Embedding.WeightName : spec.OutputHead.WeightName];
        var rows = head.Dim == 0 ? head.Ranges[0].Length : spec.VocabularySize;
        yield return new(SampleRows, 1, sequences, DType.I32);
        yield return new(GatheredRows, sequences, spec.HiddenSize, activation);
        yield return new(Logits, sequences, rows, DType.F32);
        if (rows < spec.VocabularySize)
        {
            yield return new(WholeLogits, sequences, spec.VocabularySize, DType.F32);
        }
    }
}
