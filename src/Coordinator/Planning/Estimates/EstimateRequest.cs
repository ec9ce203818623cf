using TensorParallel.Coordinator.Planning.DeviceMaps;
using TensorParallel.Coordinator.Planning.ModuleTrees;
using TensorParallel.Coordinator.Planning.Offloading;
using TensorParallel.Protocol.Architectures;
using TensorParallel.Protocol.Checkpoints;

namespace TensorParallel.Coordinator.Planning.Estimates;

/// <summary>What is to be estimated.</summary>
/// <param name="Model">Name for people.</param>
/// <param name="Spec">The model; of a family that cannot be computed, its sizes.</param>
/// <param name="Modules">Its modules.</param>
/// <param name="CanRun">Whether it can be computed.</param>
/// <param name="DType">Of weights and cache.</param>
/// <param name="ContextTokens">Tokens of a sequence; null: the model's limit, at most 8192.</param>
/// <param name="Batch">Sequences at once.</param>
/// <param name="MaxMemory">Memory that is given; null: none.</param>
internal sealed record EstimateRequest(
    string Model,
    ModelSpec Spec,
    ModuleTree Modules,
    bool CanRun,
    DType DType,
    int? ContextTokens,
    int Batch,
    IReadOnlyList<DeviceBudget>? MaxMemory)
{
    /// <summary>How weights that are off the devices come to them.</summary>
    public OffloadRequest Offload { get; init; } = new();

    /// <summary>Offloading is asked for and no budgets are given: everything that its kind covers is off the devices, as in a plan.</summary>
    public bool OffloadsAll => Offload.Kind is not null && MaxMemory is null;
}
