using System.CommandLine;

namespace TensorParallel.Coordinator.Cli;

/// <summary>The command line: <c>coordinator [serve] | generate | plan | compare</c>.</summary>
internal static class CoordinatorCommands
{
    /// <summary>Parses and runs; returns the exit code.</summary>
    public static async Task<int> RunAsync(IReadOnlyList<string> arguments)
    {
        var root = new RootCommand(
            "Tensor-parallel inference: cuts a model over workers, one process a device, or runs it as a sequential device map.");
        var serve = new ServeCommand();
        serve.Configure(root);
        root.Subcommands.Add(serve.Create());
        root.Subcommands.Add(new GenerateCommand().Create());
        root.Subcommands.Add(new PlanCommand().Create());
        root.Subcommands.Add(new CompareCommand().Create());

        // No response files: "@" begins many a prompt.
        var result = root.Parse(arguments, new ParserConfiguration { ResponseFileTokenReplacer = null });
        if (result.Errors.Count > 0)
        {
            foreach (var error in result.Errors)
            {
                await Console.Error.WriteLineAsync($"coordinator: {error.Message}");
            }

            await Console.Error.WriteLineAsync("coordinator: try --help.");
            return ExitCodes.BadInput;
        }

        return await result.InvokeAsync(new InvocationConfiguration
        {
            EnableDefaultExceptionHandler = false,
            // Signals are ours: see StopSignals.
            ProcessTerminationTimeout = null,
        });
    }
}
