using TensorParallel.Coordinator.Planning.DeviceMaps;
using TensorParallel.Coordinator.Planning.ModuleTrees;
using TensorParallel.Coordinator.Planning.Offloading;
using TensorParallel.Protocol.Architectures;
using TensorParallel.Protocol.Checkpoints;

namespace TensorParallel.Coordinator.Planning;

/// <summary>What a user wants planned.</summary>
/// <param name="Spec">The model.</param>
/// <param name="Devices">At least one; one rank each.</param>
/// <param name="DType">Dtype of weights and cache: F32, BF16 or F16.</param>
internal sealed record PlanRequest(ModelSpec Spec, IReadOnlyList<PlanDevice> Devices, DType DType)
{
    /// <summary><c>auto</c>, an inline JSON object or the path of a JSON file.</summary>
    public string TpPlan { get; init; } = Protocol.Parallel.TpPlan.Auto;

    /// <summary>A device map is wanted; the tensor-parallel plan is not looked at.</summary>
    public bool UseDeviceMap { get; init; }

    /// <summary>
    /// <see cref="DeviceMapPlan.Fit"/>, a strategy of accelerate, an inline JSON object or the path of a JSON file.
    /// </summary>
    public string DeviceMap { get; init; } = DeviceMapPlan.Fit;

    /// <summary>The model's modules as transformers builds them; null: only <c>fit</c> can be planned.</summary>
    public ModuleTree? Modules { get; init; }

    /// <summary>Whether the model can be computed; if not, <see cref="Spec"/> has its sizes only.</summary>
    public bool CanCompute { get; init; } = true;

    /// <summary>
    /// The places that exist, <c>cpu</c> and <c>disk</c> among them, as the user named them; null:
    /// <see cref="Devices"/>.
    /// </summary>
    public IReadOnlyList<DeviceBudget>? MaxMemory { get; init; }

    /// <summary>How weights that are off the devices come to them, and whether they are to be off.</summary>
    public OffloadRequest Offload { get; init; } = new();

    /// <summary>Offloading is asked for and no budgets are given: everything that its kind covers is off the devices.</summary>
    public bool OffloadsAll => Offload.Kind is not null && MaxMemory is null;

    /// <summary>A custom plan that cannot be honoured may become a device map too, as <c>auto</c> does.</summary>
    public bool AllowFallback { get; init; }

    /// <summary>Sizes.</summary>
    public LimitsRequest Limits { get; init; } = new();
}
