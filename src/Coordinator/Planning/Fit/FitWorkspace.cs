using TensorParallel.Protocol.Architectures;
using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Protocol.Generation;
using TensorParallel.Protocol.Parallel;

namespace TensorParallel.Coordinator.Planning.Fit;

/// <summary>
/// Activation buffers of a stage, by what it holds: what all stages need, and what embedding, layers (any number of
/// them) and head add. Layers of different widths are counted as the widest.
/// </summary>
/// <param name="Common">The residual rows.</param>
/// <param name="Embedding">Added by the embedding.</param>
/// <param name="Layers">Added by the first layer; the others share its buffers.</param>
/// <param name="Head">Added by the head: logits and sampler.</param>
internal sealed record FitWorkspace(long Common, long Embedding, long Layers, long Head)
{
    /// <summary>Measures the buffers that the plan counts and the worker allocates.</summary>
    /// <param name="spec">The model.</param>
    /// <param name="dtype">Its dtype.</param>
    /// <param name="activation">Dtype of activations.</param>
    /// <param name="limits">The largest step.</param>
    public static FitWorkspace Of(ModelSpec spec, DType dtype, DType activation, StepLimits limits)
    {
        var none = new IndexRange(0, 0);
        var common = 2L * limits.MaxStepTokens * spec.HiddenSize * activation.SizeInBytes();
        return new FitWorkspace(
            common,
            Bytes(new(none, HasEmbedding: true, HasOutputHead: false)) - common,
            Enumerable.Range(0, spec.Blocks.Count)
                .Select(layer => new RankStage(new IndexRange(layer, layer + 1), HasEmbedding: false, HasOutputHead: false))
                .Max(Bytes) - common,
            Bytes(new(none, HasEmbedding: false, HasOutputHead: true)) - common);

        long Bytes(RankStage stage) => WorkspaceBuffers.Bytes(
            spec,
            DeviceMapPlanner.Rank(spec, dtype, new PlanDevice("any:0"), 0, stage),
            limits,
            activation,
            worldSize: 1);
    }
}
