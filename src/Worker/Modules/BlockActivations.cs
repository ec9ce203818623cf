using TensorParallel.Worker.Devices;
using TensorParallel.Worker.Ops;

namespace TensorParallel.Worker.Modules;

/// <summary>
/// Views of T rows that decoder blocks read and write; the same memory serves every block. Columns are those of the
/// widest block: a narrower one uses the first.
/// </summary>
/// <param name="Rows">Where the rows belong.</param>
/// <param name="Delta">[T, HiddenSize]: output of attention or MLP, not yet added to the residual stream, nor
/// always summed over the ranks (<see cref="PendingDelta"/>).</param>
/// <param name="Qkv">[T, fused columns]: q, k and v of this rank's heads.</param>
/// <param name="AttentionOutput">[T, query heads · HeadDim].</param>
/// <param name="GateUp">[T, 2 · local intermediate size]: gate, then up.</param>
/// <param name="Intermediate">[T, local intermediate size].</param>
/// <param name="GatherPart">[T, most columns this rank adds to a gather]; null where the plan gathers nothing.</param>
internal sealed record BlockActivations(
    StepRows Rows,
    Tensor Delta,
    Tensor Qkv,
    Tensor AttentionOutput,
    Tensor GateUp,
    Tensor Intermediate,
    Tensor? GatherPart);
