using TensorParallel.Coordinator.Planning.ModuleTrees;

namespace TensorParallel.Coordinator.Planning.DeviceMaps;

/// <summary>
/// Accelerate's budgets for <c>balanced</c> (<c>auto</c> is the same) and <c>balanced_low_0</c>: every device but
/// the last is held down to an equal share and some room, so that filling them one after the other spreads the model.
/// </summary>
internal static class BalancedBudgets
{
    // Accelerate's number: a share that is met exactly would leave the last layers without a place.
    private const double Room = 1.25;

    /// <summary>
    /// The budgets to fill by. Example: 16.06 GB in layers of 436 MB on 2 devices of 22 GiB: a share of 8.03 GB and
    /// 0.545 GB of room for device 0, all of its 22 GiB for device 1.
    /// </summary>
    /// <param name="sizes">The model.</param>
    /// <param name="budgets">What there is, in accelerate's order.</param>
    /// <param name="lowZero">Device 0 gets only what does not fit on the others.</param>
    public static IReadOnlyList<DeviceBudget> Of(ModuleSizes sizes, IReadOnlyList<DeviceBudget> budgets, bool lowZero)
    {
        var devices = budgets.Where(budget => budget.IsDevice).ToList();
        var usable = devices.Where(device => device.Bytes is null or > 0).ToList();
        if (usable.Count == 0)
        {
            return budgets;
        }

        // Rule: with one device there is nobody to take the rest, so it is not kept low.
        lowZero = lowZero && usable.Count > 1;
        var share = (sizes.Total / (lowZero ? usable.Count - 1 : usable.Count)) + RoomBytes(sizes);

        // Rule: the last device keeps all it has, in case the room is not enough.
        var held = usable.SkipLast(1)
            .Where(device => !(lowZero && device == devices[0]))
            .ToDictionary(device => device.Device, device => Math.Min(share, device.Bytes ?? long.MaxValue));
        var result = budgets
            .Select(budget => held.TryGetValue(budget.Device, out var bytes) ? budget with { Bytes = bytes } : budget)
            .ToList();
        if (lowZero)
        {
            result[0] = LowFirst(sizes, result, usable.Count);
        }

        return result;
    }

    // Rule: device 0 takes what the model has beyond the budgets of the devices after it.
    private static DeviceBudget LowFirst(ModuleSizes sizes, List<DeviceBudget> budgets, int usable)
    {
        var others = budgets.Skip(1).Take(usable - 1).ToList();
        var left = others.Any(budget => budget.Bytes is null)
            ? 0
            : Math.Max(0, sizes.Total - others.Sum(budget => budget.Bytes!.Value));
        return budgets[0] with { Bytes = Math.Min(left, budgets[0].Bytes ?? long.MaxValue) };
    }

    // Rule: 1.25 times the larger of a layer and the mean leaf module.
    private static long RoomBytes(ModuleSizes sizes)
    {
        // Rule: of a class of layers the first one is measured, however large the others are.
        var layers = sizes.Tree.Modules()
            .Where(module => sizes.Tree.NoSplitClasses.Contains(module.Value.ClassName))
            .DistinctBy(module => module.Value.ClassName)
            .Select(module => sizes[module.Key]);
        return (long)(Room * Math.Max(layers.DefaultIfEmpty(0).Max(), MeanLeafBytes(sizes)));
    }

    private static long MeanLeafBytes(ModuleSizes sizes)
    {
        var leaves = sizes.Tree.Modules()
            .Where(module => module.Key.Length > 0 && sizes[module.Key] > 0 && IsLeaf(sizes, module.Key, module.Value))
            .Select(module => sizes[module.Key])
            .ToList();
        return leaves.Count == 0 ? 0 : (long)(leaves.Sum() / (double)leaves.Count);
    }

    private static bool IsLeaf(ModuleSizes sizes, string name, ModuleNode module) =>
        module.Children.All(child => sizes[ModuleTree.Join(name, child.Key)] == 0);
}
