using TensorParallel.Protocol.Parallel;
using TensorParallel.Worker.Devices;

namespace TensorParallel.Worker.Modules;

/// <summary>
/// The projection to the vocabulary. Cut by vocabulary its logits stay where they are: the sampler needs only each
/// rank's best candidates, which is far less than a gather of all logits.
/// </summary>
/// <param name="place">Where its weight lies.</param>
/// <param name="linear">[vocabulary part, HiddenSize].</param>
/// <param name="parts">
/// Vocabulary entries whose logits each rank computes, in rank order; one entry, the whole vocabulary, where the head
/// is not cut.
/// </param>
internal sealed class OutputHead(IWeightPlace place, ParallelLinear linear, IReadOnlyList<IndexRange> parts)
{
    /// <summary>Whether the logits of one row are spread over the ranks.</summary>
    public bool IsCut => parts.Count > 1;

    /// <summary>
    /// Vocabulary entries whose logits each rank computes, in rank order; one entry, the whole vocabulary, where the
    /// head is not cut.
    /// </summary>
    public IReadOnlyList<IndexRange> Parts => parts;

    /// <summary>The product alone, wherever its weight is on its way. x: [L, HiddenSize]; logits: F32 [L, this rank's part].</summary>
    public void Rehearse(Tensor x, Tensor logits) => linear.Rehearse(x, logits);

    /// <summary>logits = x Wᵀ. x: [L, HiddenSize]; logits: F32 [L, this rank's part].</summary>
    public void Forward(Tensor x, Tensor logits)
    {
        place.Enter(x.Rows);
        linear.Forward(x, logits, gatherPart: null);
        place.Leave();
    }
}
