using TensorParallel.Coordinator.Planning.ModuleTrees;

namespace TensorParallel.Coordinator.Planning.DeviceMaps;

/// <summary>
/// A strategy of accelerate: which budgets it fills by. All of them fill alike (<see cref="AutoPlacement"/>).
/// </summary>
/// <param name="Name">As on the command line.</param>
/// <param name="BudgetsOf">From the model and what there is to what is filled.</param>
internal sealed record DeviceMapStrategy(
    string Name, Func<ModuleSizes, IReadOnlyList<DeviceBudget>, IReadOnlyList<DeviceBudget>> BudgetsOf)
{
    /// <summary>All of them.</summary>
    public static IReadOnlyList<DeviceMapStrategy> All { get; } =
    [
        new("auto", (sizes, budgets) => BalancedBudgets.Of(sizes, budgets, lowZero: false)),
        new("balanced", (sizes, budgets) => BalancedBudgets.Of(sizes, budgets, lowZero: false)),
        new("balanced_low_0", (sizes, budgets) => BalancedBudgets.Of(sizes, budgets, lowZero: true)),
        new("sequential", (_, budgets) => budgets),
    ];

    /// <summary>The strategy of a name; null: there is none.</summary>
    public static DeviceMapStrategy? Find(string name) => All.FirstOrDefault(strategy => strategy.Name == name);

    /// <summary>The map, and the budgets that it was made by.</summary>
    public PlacedMap Place(ModuleSizes sizes, IReadOnlyList<DeviceBudget> budgets)
    {
        var filled = BudgetsOf(sizes, budgets);
        return new PlacedMap(Name, AutoPlacement.Place(sizes, filled), filled, []);
    }
}
