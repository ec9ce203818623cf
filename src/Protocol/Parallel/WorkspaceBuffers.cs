using TensorParallel.Protocol.Architectures;
using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Protocol.Generation;

namespace TensorParallel.Protocol.Parallel;

/// <summary>
/// The activation buffers of a rank for the largest step: what the plan counts and the worker allocates, from one
/// formula; <see cref="SamplerWorkspace"/> has the sampler's. T = most tokens of a step, S = most sequences, H = hidden
/// size, d = head size, q, kv, I = this rank's query heads, KV heads and MLP columns (the most of any of its blocks), V
/// = its vocabulary rows.
/// </summary>
public static class WorkspaceBuffers
{
    /// <summary>
    /// I32 [1, N]: all small integers of a step, which travel to the device together. With the embedding 2 T (given tokens and slots),
    /// with blocks 2 T + S + 1 + S · blocks of the longest context (positions and sequences of the rows, first rows of the sequences,
    /// block tables), with the output head 3 S (rows whose logits are wanted, their slots, the positions of their tokens).
    /// </summary>
    public const string StepInputs = "step_inputs";

    /// <summary>I32 [1, T].</summary>
    public const string TokenIds = "token_ids";

    /// <summary>I32 [1, S]: by slot, the last token drawn on the rank of the head; where the embedding is on another.</summary>
    public const string LastTokens = "last_tokens";

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
        if (rank.HasEmbedding || rank.HasOutputHead || rank.Layers.Length > 0)
        {
            buffers.Add(new(StepInputs, 1, Integers(rank, limits), DType.I32));
            buffers.Add(new(Residual, tokens, hidden, activation));
            buffers.Add(new(Normed, tokens, hidden, activation));
        }

        if (rank.HasEmbedding)
        {
            buffers.Add(new(TokenIds, 1, tokens, DType.I32));
            if (!rank.HasOutputHead)
            {
                buffers.Add(new(LastTokens, 1, limits.MaxSequences, DType.I32));
            }
        }

        if (rank.Layers.Length > 0)
        {
            var rotaryDim = spec.Blocks.Max(block => block.Attention.Rope.RotaryDim);
            buffers.Add(new(RopeCosSin, limits.MaxContextTokens, rotaryDim, DType.F32));
            buffers.AddRange(BlockBuffers(spec, rank, slices, tokens, activation));
        }

        if (rank.HasOutputHead)
        {
            buffers.AddRange(HeadBuffers(spec, slices, limits.MaxSequences, activation));
        }

        return buffers;
    }

    /// <summary>Bytes of these buffers and of the sampler's.</summary>
    /// <param name="spec">The model.</param>
    /// <param name="rank">The rank; its WorkspaceBytes is not read.</param>
    /// <param name="limits">The largest step.</param>
    /// <param name="activation">Dtype of activations.</param>
    /// <param name="worldSize">Number of ranks.</param>
    public static long Bytes(ModelSpec spec, RankPlan rank, StepLimits limits, DType activation, int worldSize)
    {
        IEnumerable<WorkspaceBuffer> buffers = For(spec, rank, limits, activation);
        if (rank.HasOutputHead)
        {
            var (tokens, isCut) = Head(spec, rank.Tensors.ToDictionary(slice => slice.Name));
            var sharing = isCut ? worldSize : 1;
            buffers = buffers.Concat(SamplerWorkspace.For(spec.VocabularySize, tokens, sharing, limits));
        }

        return buffers.Sum(buffer => buffer.Bytes);
    }

    /// <summary>Vocabulary rows of a rank's output head; 0 without one.</summary>
    public static int HeadTokens(ModelSpec spec, RankPlan rank) =>
        rank.HasOutputHead ? Head(spec, rank.Tensors.ToDictionary(slice => slice.Name)).Tokens : 0;

    private static (int Tokens, bool IsCut) Head(ModelSpec spec, Dictionary<string, TensorSlice> slices)
    {
        var head = slices[spec.TieWordEmbeddings ? spec.Embedding.WeightName : spec.OutputHead.WeightName];
        return head.Dim == 0 ? (head.Ranges.Sum(range => range.Length), true) : (spec.VocabularySize, false);
    }

    // 16 sequences, 512 tokens, a context of 2,048 in blocks of 16: 1,024 + 1,024 + 17 + 2,048 + 48 = 4,161.
    private static int Integers(RankPlan rank, StepLimits limits)
    {
        var (tokens, sequences) = (limits.MaxStepTokens, limits.MaxSequences);
        var contextBlocks = ((limits.MaxContextTokens - 1) / limits.KvBlockTokens) + 1;
        return checked((rank.HasEmbedding ? 2 * tokens : 0)
            + (rank.Layers.Length > 0 ? (2 * tokens) + sequences + 1 + (sequences * contextBlocks) : 0)
            + (rank.HasOutputHead ? 3 * sequences : 0));
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
        var (rows, _) = Head(spec, slices);
        yield return new(GatheredRows, sequences, spec.HiddenSize, activation);
        yield return new(Logits, sequences, rows, DType.F32);
        if (rows < spec.VocabularySize)
        {
            yield return new(WholeLogits, sequences, spec.VocabularySize, DType.F32);
        }
    }
}
