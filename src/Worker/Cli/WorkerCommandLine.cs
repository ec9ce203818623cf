using TensorParallel.Protocol.Wire;
using TensorParallel.Worker.Session;

namespace TensorParallel.Worker.Cli;

/// <summary>Reads the arguments and runs a command. Exit codes: 0 fine, 1 failed, 2 bad command line.</summary>
internal static class WorkerCommandLine
{
    private const string Usage = """
        Executes one rank of a model. The coordinator starts it; by hand only 'probe' is of use.

        Usage:
          worker probe                               print the devices this machine has, as JSON
          worker run --connect unix:PATH --rank R    join the coordinator that listens on PATH
          worker shard --model DIR --output DIR --threads N
                                                     cut a checkpoint by the plan on standard input; see 'coordinator shard'
          worker --help

        'run' takes the coordinator's secret from the environment variable TENSOR_PARALLEL_SECRET.
        """;

    /// <summary>Runs the command.</summary>
    /// <param name="arguments">The command line.</param>
    /// <param name="loader">Loads the rank's model.</param>
    public static async Task<int> RunAsync(string[] arguments, IRankModelLoader loader)
    {
        switch (arguments)
        {
            case ["probe"]:
                await Console.Out.WriteLineAsync(DeviceProbe.Inventory().ToJson());
                return 0;
            case ["run", .. var rest]:
                return await RunRankAsync(rest, loader);
            case ["shard", "--model", var model, "--output", var output, "--threads", var threads]
                when int.TryParse(threads, out var count) && count > 0:
                return await ShardCommand.RunAsync(model, output, count);
            case ["--help" or "-h" or "help"] or [_, "--help" or "-h"]:
                await Console.Out.WriteLineAsync(Usage);
                return 0;
            case []:
                return await RefuseAsync("no command is given");
            default:
                return await RefuseAsync($"'{string.Join(' ', arguments)}' is no command");
        }
    }

    private static async Task<int> RunRankAsync(string[] arguments, IRankModelLoader loader)
    {
        WorkerAddress? address = null;
        int? rank = null;
        for (var i = 0; i < arguments.Length; i += 2)
        {
            var value = i + 1 < arguments.Length ? arguments[i + 1] : "";
            switch (arguments[i])
            {
                case "--connect":
                    address = WorkerAddress.TryParse(value);
                    if (address is null)
                    {
                        return await RefuseAsync($"--connect wants unix: and an absolute path, not '{value}'");
                    }

                    break;
                case "--rank":
                    rank = int.TryParse(value, out var number) && number >= 0 ? number : null;
                    if (rank is null)
                    {
                        return await RefuseAsync($"--rank wants a number from 0, not '{value}'");
                    }

                    break;
                default:
                    return await RefuseAsync($"'run' has no option '{arguments[i]}'");
            }
        }

        if (address is null || rank is null)
        {
            return await RefuseAsync("'run' needs --connect and --rank");
        }

        var secret = Environment.GetEnvironmentVariable(WorkerEnvironment.Secret);
        if (string.IsNullOrEmpty(secret))
        {
            return await RefuseAsync(
                $"the environment variable {WorkerEnvironment.Secret} is not set; the coordinator sets it");
        }

        var parent = Environment.GetEnvironmentVariable(WorkerEnvironment.Parent);
        return await RankHost.RunAsync(
            address, new WorkerIdentity(rank.Value, secret), int.TryParse(parent, out var id) ? id : null, loader);
    }

    private static async Task<int> RefuseAsync(string reason)
    {
        await Console.Error.WriteLineAsync($"worker: {reason}; see 'worker --help'.");
        return 2;
    }
}
