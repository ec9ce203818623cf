using System.Globalization;
using Spectre.Console;
using Spectre.Console.Rendering;
using TensorParallel.Coordinator.Planning.ModuleTrees;
using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Protocol.Parallel;

namespace TensorParallel.Coordinator.Planning;

/// <summary>A device map as people read it: by place, with budgets, and why it cannot be run where it cannot.</summary>
internal sealed class DeviceMapPrinter(IAnsiConsole console)
{
    /// <summary>Writes the map; of one that can be run, the plan has been written before.</summary>
    public void Print(string modelName, ModuleTree modules, DeviceMapPlan plan)
    {
        var (placed, sizes) = (plan.Placed, new ModuleSizes(modules, plan.DType));
        if (plan.Plan is null)
        {
            console.WriteLine(string.Create(
                CultureInfo.InvariantCulture,
                $"{modelName}: {modules.Shape.ModelType}, {modules.Shape.Layers} layers, " +
                $"{ByteText.Of(sizes.Total)} in " +
                $"{plan.DType.HuggingFaceName()}"));
        }

        console.WriteLine($"Device map by {placed.Strategy}:");
        console.WriteLine();
        console.Write(Places(plan, sizes));
        console.WriteLine();
        if (plan.Plan is null)
        {
            foreach (var note in placed.Notes)
            {
                console.WriteLine($"Note: {note}");
            }

            console.WriteLine($"This map is not run: {plan.Obstacle}");
        }
    }

    private static Table Places(DeviceMapPlan plan, ModuleSizes sizes)
    {
        var table = new Table { Border = TableBorder.None };
        foreach (var heading in (string[])["Place", "Weights", "Budget", "Holds"])
        {
            table.AddColumn(new TableColumn(new Spectre.Console.Text(heading)) { Padding = new Padding(0, 0, 1, 0) });
        }

        table.Columns[1].RightAligned();
        table.Columns[2].RightAligned();
        var (map, bytes) = (plan.Placed.Map, plan.Placed.Map.BytesByPlace(sizes).ToDictionary());
        var budgets = plan.Placed.Budgets.ToDictionary(budget => budget.Device, budget => budget.Bytes);
        foreach (var place in budgets.Keys.Union(bytes.Keys))
        {
            var modules = map.Entries.Where(entry => entry.Value == place).Select(entry => entry.Key).ToList();
            var budget = budgets.GetValueOrDefault(place);
            Add(
                table,
                place,
                ByteText.Of(bytes.GetValueOrDefault(place)),
                budget is null ? "" : ByteText.Of(budget.Value),
                modules.Count == 0 ? "nothing" : Names(modules));
        }

        return table;
    }

    // model.layers.0, 1, 2, 5 as model.layers.{0–2, 5}; the whole model has no name.
    private static string Names(IReadOnlyList<string> modules)
    {
        var patterns = modules.GroupBy(module => module.Length == 0 ? "everything" : Pattern(module)).Select(group =>
        {
            var layers = group
                .Select(module => module.Split('.').FirstOrDefault(segment => segment.All(char.IsAsciiDigit)))
                .Where(segment => segment is { Length: > 0 })
                .Select(segment => int.Parse(segment!, CultureInfo.InvariantCulture))
                .ToList();
            return layers.Count == 0
                ? group.Key
                : group.Key.Replace("*", LayerList.Text(layers, int.MaxValue), StringComparison.Ordinal);
        });
        return string.Join(", ", patterns);
    }

    private static string Pattern(string module) =>
        string.Join('.', module.Split('.').Select(segment => segment.All(char.IsAsciiDigit) ? "*" : segment));

    // Text, not markup: names come from files.
    private static void Add(Table table, params IEnumerable<string> cells) =>
        table.AddRow(cells.Select(cell => (IRenderable)new Spectre.Console.Text(cell)));
}
