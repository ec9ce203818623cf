using TensorParallel.Protocol.Checkpoints;

namespace TensorParallel.Worker.Quantization;

/// <summary>
/// A way to store linear weights: which checkpoint tensors it reads, what it allocates, how it is multiplied.
/// Stateless.
/// </summary>
internal interface IWeightFormat
{
    /// <summary>Name, for example <c>dense</c>.</summary>
    string Name { get; }

    /// <summary>
    /// Allocates one weight for layers that read the same input, stacked by rows: q, k and v become one matrix
    /// product. The memory is filled by whoever loads <paramref name="targets"/>. Throws <see
    /// cref="ArgumentException"/> when the parts' columns differ.
    /// </summary>
    /// <param name="memory">Where to allocate.</param>
    /// <param name="dtype">Dtype of the run.</param>
    /// <param name="parts">The layers, in storage order; at least one.</param>
    /// <param name="targets">Receives what has to be loaded.</param>
    ILinearWeight Allocate(
        WeightMemory memory, DType dtype, IReadOnlyList<WeightPart> parts, ICollection<WeightTarget> targets);
}
