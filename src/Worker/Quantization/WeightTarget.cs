using TensorParallel.Protocol.Parallel;
using TensorParallel.Worker.Devices;

namespace TensorParallel.Worker.Quantization;

/// <summary>
/// One held part of a checkpoint tensor and the memory it belongs in, on the device or the host: what a weight's owner asks of the loader.
/// </summary>
/// <param name="Slice">Which rows or columns are held.</param>
/// <param name="FullShape">
/// Shape that the checkpoint's tensor must have: [rows, columns], or [length] of a vector.
/// </param>
/// <param name="Destination">
/// Exactly the held part, in the dtype of the run; a vector is one row. Example: rows [192, 384) of a [512, 256]
/// q_proj are the first 192 rows of a fused q‖k‖v weight.
/// </param>
internal sealed record WeightTarget(TensorSlice Slice, IReadOnlyList<int> FullShape, Tensor Destination)
{
    /// <summary>Where operations find it if not at its destination: the place in a slot that it comes to for each use.</summary>
    public Tensor? Slot { get; init; }

    /// <summary>Where operations find it.</summary>
    public Tensor Operand => Slot ?? Destination;
}
