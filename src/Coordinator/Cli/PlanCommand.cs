using System.CommandLine;
using Spectre.Console;
using TensorParallel.Coordinator.Hosting;
using TensorParallel.Coordinator.Planning;
using TensorParallel.Protocol.Parallel;

namespace TensorParallel.Coordinator.Cli;

/// <summary><c>coordinator plan</c>: prints the plan; starts no worker and reads no weight.</summary>
internal sealed class PlanCommand
{
    private readonly ModelOptions _model = new();
    private readonly Option<bool> _json = new("--json") { Description = "Print the plan as JSON." };

    /// <summary>The command for the command line.</summary>
    public Command Create()
    {
        var command = new Command("plan", "Print how a model would be cut: by rank and tensor, in rows, columns and bytes.");
        _model.AddTo(command);
        command.Options.Add(_json);
        command.SetAction((result, _) => CommandGuard.RunAsync(signals => RunAsync(result, signals.Stopping)));
        return command;
    }

    private async Task<int> RunAsync(ParseResult result, CancellationToken cancellationToken)
    {
        var (arguments, json) = (_model.Read(result), result.GetValue(_json));
        if (arguments.DeviceMap is not null)
        {
            var map = await PreparedMap.PrepareAsync(arguments, cancellationToken);
            await Notices.SayAsync(map.Notices);
            Print(map, json);
            return ExitCodes.Done;
        }

        var model = await PreparedModel.PrepareAsync(arguments, PreparationScope.PlanOnly, cancellationToken);
        await Notices.SayAsync(model.Notices);
        if (json)
        {
            Console.Out.WriteLine(PlanJson.Serialize(model.Plan));
        }
        else
        {
            new PlanPrinter(OutputConsole()).Print(model.Name, model.Spec, model.Plan);
        }

        return ExitCodes.Done;
    }

    private static void Print(PreparedMap model, bool json)
    {
        var map = model.Map;
        if (json)
        {
            Console.Out.WriteLine(map.Plan is { } plan
                ? PlanJson.Serialize(plan)
                : PlanJson.SerializeMap(
                    map.Placed.Map.Entries, map.Placed.BudgetEntries, map.DType, map.Placed.Notes, map.Obstacle));
            return;
        }

        if (map.Plan is { } runnable)
        {
            new PlanPrinter(OutputConsole()).Print(model.Name, model.Spec, runnable);
        }

        new DeviceMapPrinter(OutputConsole()).Print(model.Name, model.Modules, map);
    }

    private static IAnsiConsole OutputConsole() =>
        Console.IsOutputRedirected ? PlanPrinter.Plain(Console.Out) : AnsiConsole.Console;
}
