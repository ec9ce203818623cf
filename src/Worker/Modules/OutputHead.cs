using TensorParallel.Protocol.Parallel;
using TensorParallel.Worker.Devices;

namespace TensorParallel.Worker.Modules;

/// <summary>
/// The projection to the vocabulary. Cut by vocabulary its logits stay where they are: the sampler needs only each rank's best
/// candidates, which is far less than a gather of all logits.
/// </summary>
/// <param name="linear">[vocabulary part, HiddenSize].</param>
/// <param name="vocabulary">Vocabulary entries whose logits this rank computes.</param>
/// <param name="partColumns">Logits that each rank computes; null: every rank computes all.</param>
internal sealed class OutputHead(ParallelLinear linear, IndexRange vocabulary, IReadOnlyList<int>? partColumns)
{
    /// <summary>Vocabulary entries whose logits this rank computes.</summary>
    public IndexRange Vocabulary => vocabulary;

    /// <summary>Logits that each rank computes; null: every rank computes all.</summary>
    public IReadOnlyList<int>? PartColumns => partColumns;

    /// <summary>logits = x Wᵀ. x: [L, HiddenSize]; logits: F32 [L, Vocabulary.Length].</summary>
    public void Forward(Tensor x, Tensor logits) => linear.Forward(x, logits, gatherPart: null);
}
