using TensorParallel.Coordinator.Planning.Offloading;
using TensorParallel.Protocol.Parallel;

namespace TensorParallel.Coordinator.Planning;

/// <summary>
/// Decides everything before anything is loaded: tensor parallel, or a device map and why; every rank's slices and
/// bytes. Pure: the same request gives the same plan, on any machine.
/// </summary>
internal static class Planner
{
    /// <summary>The plan.</summary>
    /// <exception cref="PlanException">
    /// A mistake in the request, a custom plan that cannot be honoured, or too little memory: all problems of that kind
    /// at once.
    /// </exception>
    public static ExecutionPlan Plan(PlanRequest request)
    {
        CheckDevices(request.Devices);
        if (request.UseDeviceMap)
        {
            return Runnable(DeviceMapPlan.Make(request, []));
        }

        var isAuto = request.TpPlan.Trim() == TpPlan.Auto;
        var tpPlan = isAuto ? TpPlan.OfArchitecture(request.Spec) : TpPlan.Read(request.TpPlan);
        if (tpPlan is null)
        {
            return Fallback(request, [
                $"The architecture {request.Spec.ModelType} has no tensor-parallel plan of its own; give one with " +
                "--tp-plan."]);
        }

        var resolved = tpPlan.ResolveFor(request.Spec);
        IReadOnlyList<string> obstacles =
        [
            .. resolved.Obstacles,
            .. TensorParallelPlanner.Obstacles(request.Spec, resolved, request.Devices.Count),
            .. DeviceObstacles(request.Devices),
        ];
        if (resolved.Problems.Count > 0)
        {
            throw new PlanException([.. resolved.Problems, .. obstacles]);
        }

        if (obstacles.Count == 0)
        {
            return TensorParallel(request, resolved);
        }

        return isAuto || request.AllowFallback
            ? Fallback(request, obstacles)
            : throw new PlanException([.. obstacles.Select(WithWayOut)]);
    }

    private static string WithWayOut(string obstacle) =>
        $"{obstacle} Or give --fallback: the model then runs as a device map, layer by layer.";

    private static ExecutionPlan TensorParallel(PlanRequest request, ResolvedTpPlan resolved)
    {
        var planner = new TensorParallelPlanner(request, resolved);
        var draft = new ExecutionPlan(
            PlanMode.TensorParallel,
            request.Devices.Count,
            FallbackReasons: [],
            DeviceMap: null,
            request.DType,
            LimitsPlanner.Sizes(request),
            planner.Ranks(),
            [.. resolved.Notes, .. planner.Notes()]);
        return LimitsPlanner.Complete(
            request, draft, (ranks, cacheBytes) => OffloadPlanner.Spill(request, ranks, cacheBytes));
    }

    // The fallback is the runtime's own decision, so the strategy is its own too.
    private static ExecutionPlan Fallback(PlanRequest request, IReadOnlyList<string> reasons) =>
        Runnable(DeviceMapPlan.Make(request with { DeviceMap = DeviceMapPlan.Fit }, reasons));

    private static ExecutionPlan Runnable(DeviceMapPlan map) =>
        map.Plan ?? throw new PlanException(map.Obstacle);

    /// <summary>There is a device, and none twice.</summary>
    /// <exception cref="PlanException">Otherwise.</exception>
    public static void CheckDevices(IReadOnlyList<PlanDevice> devices)
    {
        if (devices.Count == 0)
        {
            throw new PlanException("There is no device to plan for; give --gpus or --cpu-workers.");
        }

        if (devices.GroupBy(device => device.Name).FirstOrDefault(group => group.Count() > 1) is { } twice)
        {
            throw new PlanException(
                $"The device {twice.Key} is given {twice.Count()} times; each rank needs one of its own.");
        }
    }

    private static IEnumerable<string> DeviceObstacles(IReadOnlyList<PlanDevice> devices)
    {
        var kinds = devices.Select(device => device.Kind).Distinct().ToList();
        if (kinds.Count > 1)
        {
            yield return $"No collective joins devices of different kinds ({string.Join(", ", kinds)}); give devices " +
                "of one kind.";
        }
    }
}
