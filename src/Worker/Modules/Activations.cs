using TensorParallel.Worker.Devices;

namespace TensorParallel.Worker.Modules;

/// <summary>Views of T rows of the memory that one forward pass goes through, in the activation dtype.</summary>
/// <param name="Hidden">[T, HiddenSize]: the residual stream.</param>
/// <param name="Normed">[T, HiddenSize]: what a norm made of it.</param>
/// <param name="Parts">The same rows as decoder blocks take them, in order; none on a rank without blocks.</param>
internal sealed record Activations(Tensor Hidden, Tensor Normed, IReadOnlyList<BlockRows> Parts);
