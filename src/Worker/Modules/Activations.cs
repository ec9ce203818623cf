using TensorParallel.Worker.Devices;
using TensorParallel.Worker.Ops;

namespace TensorParallel.Worker.Modules;

/// <summary>
/// What one forward pass reads and writes besides weights and cache: views of T rows, all in the activation dtype. The same
/// memory serves every layer.
/// </summary>
/// <param name="Rows">Where the rows belong.</param>
/// <param name="Hidden">[T, HiddenSize]: the residual stream.</param>
/// <param name="Normed">[T, HiddenSize]: input of attention and MLP.</param>
/// <param name="Delta">[T, HiddenSize]: output of attention or MLP, not yet added to the residual stream.</param>
/// <param name="Qkv">[T, fused columns]: q, k and v of this rank's heads.</param>
/// <param name="AttentionOutput">[T, query heads · HeadDim].</param>
/// <param name="GateUp">[T, 2 · local intermediate size]: gate, then up.</param>
/// <param name="Intermediate">[T, local intermediate size].</param>
/// <param name="GatherPart">[T, most columns a rank contributes to a gather]; null where the plan gathers nothing.</param>
internal sealed record Activations(
    StepRows Rows,
    Tensor Hidden,
    Tensor Normed,
    Tensor Delta,
    Tensor Qkv,
    Tensor AttentionOutput,
    Tensor GateUp,
    Tensor Intermediate,
    Tensor? GatherPart);
