using TensorParallel.Worker.Devices;

namespace TensorParallel.Worker.Ops;

/// <summary>
/// What measuring needs of a device beside the model's operations: weights made in place of a checkpoint's, a plain read of memory,
/// and points in time. One implementation a backend; used by the thread that issues operations.
/// </summary>
internal interface IMeasuringOps
{
    /// <summary>Kernels loaded so far and what that took; nothing on devices that need none.</summary>
    KernelLoading KernelLoading { get; }

    /// <summary>
    /// target[r, c] = what <paramref name="fill"/> says of element [FirstRow + r, FirstColumn + c] of the whole tensor: the same bits
    /// on every device, whatever the cut. target: F32, BF16 or F16.
    /// </summary>
    void FillRandom(Tensor target, RandomFill fill);

    /// <summary>
    /// sum += Σ words, modulo 2³². words: I32 [1, N] at a multiple of 16 bytes, N a multiple of 4; sum: I32 [1, 1]. Reads at the rate of
    /// the memory and writes nothing to speak of.
    /// </summary>
    void SumWords(Tensor words, Tensor sum);

    /// <summary>Points in the device's order of operations; the caller disposes them.</summary>
    IDeviceMarks CreateMarks();
}
