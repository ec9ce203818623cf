using TensorParallel.Worker.Devices;

namespace TensorParallel.Worker.Modules;

/// <summary>All rows of a step, or the part of them that goes through the blocks by itself.</summary>
/// <param name="Hidden">[T, HiddenSize]: the residual stream.</param>
/// <param name="Normed">[T, HiddenSize]: overwritten by every norm.</param>
/// <param name="Inner">Everything else.</param>
internal sealed record BlockRows(Tensor Hidden, Tensor Normed, BlockActivations Inner);
