using System.CommandLine;

namespace TensorParallel.Coordinator.Cli;

/// <summary>The command line: <c>coordinator [serve] | generate | plan | estimate | shard | compare | bench</c>.</summary>
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
        root.Subcommands.Add(new EstimateCommand().Create());
        root.Subcommands.Add(new ShardCommand().Create());
        root.Subcommands.Add(new CompareCommand().Create());
        root.Subcommands.Add(new BenchCommand().Create());

        // No response files: "@" begins many a prompt.
        var result = root.Parse(arguments, new ParserConfiguration { ResponseFileTokenReplacer = null });
        if (result.Errors.Count > 0)
        {
            await Console.Error.WriteLineAsync($"coordinator: {Sentence(result)}");
            return ExitCodes.BadInput;
        }

        try
        {
            return await result.InvokeAsync(new InvocationConfiguration
            {
                EnableDefaultExceptionHandler = false,
                // Signals are ours: see StopSignals.
                ProcessTerminationTimeout = null,
            });
        }
        catch (IOException exception) when (StandardOutput.IsReaderGone(exception))
        {
            // Help and version; commands have a guard of their own.
            return CommandGuard.ReaderIsGone();
        }
    }

    // One mistake often gives several errors: a misspelt command makes all its options unknown too.
    private static string Sentence(ParseResult result) => result.UnmatchedTokens.Count > 0
        ? $"No command or option takes \"{string.Join("\", \"", result.UnmatchedTokens)}\": see {ProgramName(result)} --help."
        : string.Join(' ', result.Errors.Select(error => error.Message).Distinct());

    private static string ProgramName(ParseResult result) =>
        result.CommandResult.Command is RootCommand ? "coordinator" : $"coordinator {result.CommandResult.Command.Name}";
}
