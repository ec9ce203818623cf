using TensorParallel.Worker.Devices;

namespace TensorParallel.Worker.Modules;

/// <summary>Views of T rows of the memory that one forward pass goes through, in the activation dtype.</summary>
/// <param name="Hidden">[T, HiddenSize]: the residual stream.</param>
/// <param name="Normed">[T, HiddenSize]: what a norm made of it.</param>
/// <param name="Blocks">What decoder blocks need besides; null on a rank without blocks.</param>
internal sealed record Activations(Tensor Hidden, Tensor Normed, BlockActivations? Blocks);
