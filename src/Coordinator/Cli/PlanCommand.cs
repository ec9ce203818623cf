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
        var model = await PreparedModel.PrepareAsync(_model.Read(result), PreparationScope.PlanOnly, cancellationToken);
        await Notices.SayAsync(model);
        if (result.GetValue(_json))
        {
            Console.Out.WriteLine(PlanJson.Serialize(model.Plan));
        }
        else
        {
            new PlanPrinter(Console.IsOutputRedirected ? PlanPrinter.Plain(Console.Out) : AnsiConsole.Console)
                .Print(model.Name, model.Spec, model.Plan);
        }

        return ExitCodes.Done;
    }
}
