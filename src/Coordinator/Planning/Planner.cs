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
            return DeviceMap(request, []);
        }

        var isAuto = request.TpPlan.Trim() == TpPlan.Auto;
        var tpPlan = isAuto ? TpPlan.OfArchitecture(request.Spec) : TpPlan.Read(request.TpPlan);
        if (tpPlan is null)
        {
            return DeviceMap(request, [
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

        return isAuto || request.AllowFallback ? DeviceMap(request, obstacles) : throw new PlanException(obstacles);
    }

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
        return LimitsPlanner.Complete(request, draft);
    }

    private static ExecutionPlan DeviceMap(PlanRequest request, IReadOnlyList<string> fallbackReasons)
    {
        var planner = new DeviceMapPlanner(request);
        var draft = new ExecutionPlan(
            PlanMode.DeviceMap,
            request.Devices.Count,
            fallbackReasons,
            planner.Map(),
            request.DType,
            LimitsPlanner.Sizes(request),
            planner.Ranks(),
            planner.Notes());
        return LimitsPlanner.Complete(request, draft);
    }

    private static void CheckDevices(IReadOnlyList<PlanDevice> devices)
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
