namespace TensorParallel.Coordinator.Planning.DeviceMaps;

/// <summary>A device map and what it was made by.</summary>
/// <param name="Strategy">A strategy's name, or <c>custom</c>.</param>
/// <param name="Map">The map.</param>
/// <param name="Budgets">Places in the order in which they were filled.</param>
/// <param name="Notes">Remarks for people.</param>
internal sealed record PlacedMap(
    string Strategy, DeviceMap Map, IReadOnlyList<DeviceBudget> Budgets, IReadOnlyList<string> Notes)
{
    /// <summary>The budgets as the plan's JSON has them.</summary>
    public IReadOnlyList<KeyValuePair<string, long?>> BudgetEntries =>
        [.. Budgets.Select(budget => KeyValuePair.Create(budget.Device, budget.Bytes))];
}
