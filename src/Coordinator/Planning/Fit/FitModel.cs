using TensorParallel.Coordinator.Planning.ModuleTrees;
using TensorParallel.Coordinator.Planning.Offloading;
using TensorParallel.Protocol.Architectures;
using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Protocol.Generation;
using TensorParallel.Protocol.Parallel;

namespace TensorParallel.Coordinator.Planning.Fit;

/// <summary>A model as a row of units in the order of computing: embedding, layers, norm and head. Immutable.</summary>
/// <param name="Embedding">First.</param>
/// <param name="Layers">In order.</param>
/// <param name="Head">Final norm and output head; with tied embeddings it holds a copy of the table.</param>
/// <param name="SharedBytes">The table, where embedding and head on one device share it; else 0.</param>
/// <param name="Workspace">Activation buffers.</param>
/// <param name="Limits">The sizes behind it; one full context of its length must fit.</param>
internal sealed record FitModel(
    FitUnit Embedding,
    IReadOnlyList<FitUnit> Layers,
    FitUnit Head,
    long SharedBytes,
    FitWorkspace Workspace,
    StepLimits Limits)
{
    private readonly StageModule[] _layers = [.. Layers.Select(Module)];

    /// <summary>All units in order.</summary>
    public IReadOnlyList<FitUnit> Units { get; } = [Embedding, .. Layers, Head];

    /// <summary>What a stage of consecutive units holds, by what can leave its device.</summary>
    /// <param name="start">Its first unit.</param>
    /// <param name="end">Behind its last.</param>
    public StageWeights WeightsOf(int start, int end)
    {
        var (hasEmbedding, hasHead) = (start == 0 && end > 0, end == Units.Count && start < end);
        var shares = hasEmbedding && hasHead && SharedBytes > 0;
        var first = Math.Clamp(start - 1, 0, Layers.Count);
        var layers = _layers[first..Math.Clamp(end - 1, first, Layers.Count)];
        return new StageWeights(
            !hasHead ? 0 : shares ? Head.WeightBytes - SharedBytes : Head.FixedBytes,
            hasEmbedding ? Module(Embedding) : null,
            layers,
            !hasHead ? null : new StageModule(Head.Modules[^1], shares ? 0 : Head.WeightBytes - Head.FixedBytes, Head.SlotBytes),
            shares);
    }

    /// <summary>Measures a model.</summary>
    /// <param name="spec">The model.</param>
    /// <param name="dtype">Dtype of weights and cache.</param>
    /// <param name="activation">Dtype of activations.</param>
    /// <param name="limits">The largest step; KvBlocks: positions that must fit, 0: one full context.</param>
    /// <param name="modules">
    /// Sizes of a family that <paramref name="spec"/> describes only roughly; null: it is exact.
    /// </param>
    public static FitModel Of(ModelSpec spec, DType dtype, DType activation, StepLimits limits, ModuleTree? modules)
    {
        var sizes = modules is null ? null : new ModuleSizes(modules, dtype);
        var element = dtype.SizeInBytes();
        var oneContext = ((limits.MaxContextTokens - 1) / limits.KvBlockTokens) + 1;
        var positions = (long)Math.Max(oneContext, limits.KvBlocks) * limits.KvBlockTokens;
        var table = (long)spec.VocabularySize * spec.HiddenSize * element;
        var norm = (long)spec.FinalNorm.Size * element;
        return new FitModel(
            new([spec.Embedding.Name], null, table, 0, (long)spec.HiddenSize * element),
            [.. spec.Blocks.Select(Layer)],
            new([spec.FinalNorm.Name, spec.OutputHead.Name], null, norm + table, 0, norm + table)
            {
                SlotBytes = OffloadGroups.Align(table),
                FixedBytes = norm,
            },
            spec.TieWordEmbeddings ? table : 0,
            FitWorkspace.Of(spec, dtype, activation, limits),
            limits);

        FitUnit Layer(BlockSpec block, int layer)
        {
            var tensors = ModelSpecTensors.Of(block).Select(tensor => tensor.Elements * element).ToList();
            var weights = sizes?[block.Name] ?? tensors.Sum();
            var position = 2L * block.Attention.NumKeyValueHeads * block.Attention.HeadDim * element;
            var read = weights - IdleBytes(sizes, block.Name) + (position * limits.MaxContextTokens);
            return new FitUnit([block.Name], layer, weights, position * positions, read)
            {
                SlotBytes = sizes is null ? tensors.Sum(OffloadGroups.Align) : OffloadGroups.Align(weights),
            };
        }
    }

    private static StageModule Module(FitUnit unit) => new(unit.Modules[0], unit.WeightBytes, unit.SlotBytes);

    // Of 8 experts a token is computed by 2: three quarters of their weights are not read for it.
    private static long IdleBytes(ModuleSizes? sizes, string layer)
    {
        if (sizes?.Tree.Shape is not { Experts: > 1 } shape)
        {
            return 0;
        }

        return sizes[$"{layer}.mlp.experts"] / shape.Experts * (shape.Experts - shape.ActiveExperts);
    }
}
