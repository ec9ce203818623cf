using TensorParallel.Coordinator.Planning.Offloading;

namespace TensorParallel.Coordinator.Planning.Fit;

/// <summary>How stages that are too large for their devices are made to fit.</summary>
/// <param name="Offload">Kind of offloading.</param>
/// <param name="Places">Where weights may lie beside the devices.</param>
/// <param name="All">Everything leaves, whether or not it would fit.</param>
internal sealed record FitSpill(OffloadRequest Offload, SpillPlaces Places, bool All = false)
{
    /// <summary>Nothing may leave.</summary>
    public static FitSpill Never { get; } = new(new OffloadRequest(), SpillPlaces.None);

    /// <summary>What a request allows.</summary>
    public static FitSpill Of(PlanRequest request) =>
        new(request.Offload, SpillPlaces.Of(request), request.OffloadsAll);
}
