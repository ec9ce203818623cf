using System.CommandLine;
using System.Diagnostics;
using System.Globalization;
using TensorParallel.Coordinator.Hosting;
using TensorParallel.Coordinator.Launching;
using TensorParallel.Coordinator.Sharding;
using TensorParallel.Protocol.Shards;

namespace TensorParallel.Coordinator.Cli;

/// <summary><c>coordinator shard</c>: cuts a checkpoint into one file a rank, once, for all later starts with the same cut.</summary>
internal sealed class ShardCommand
{
    // Beyond that they wait for the disk.
    private const int MostThreads = 16;

    private readonly ModelOptions _model = new();

    private readonly Option<int?> _ranks = new("--ranks")
    {
        Description = "Cut for N ranks whatever devices they will be; instead of --gpus and --cpu-workers. For tensor parallelism: a device "
            + "map follows its devices.",
        HelpName = "N",
        CustomParser = NumberArgument.ReadOptional<int>,
    };

    private readonly Option<string?> _output = new("--output", "-o")
    {
        Description = "Folder for shard sets. Default: .tensor-parallel in the model folder, where runs look by themselves.",
        HelpName = "DIR",
    };

    private readonly Option<bool> _force = new("--force") { Description = "Cut anew even where an up-to-date set lies there." };

    /// <summary>The command for the command line.</summary>
    public Command Create()
    {
        var command = new Command("shard", "Cut a checkpoint into one contiguous file a rank, in the run's dtype, so that starts read only those.");
        _model.AddTo(command);
        command.Options.Add(_ranks);
        command.Options.Add(_output);
        command.Options.Add(_force);
        command.SetAction((result, _) => CommandGuard.RunAsync(signals => RunAsync(result, signals.Stopping)));
        return command;
    }

    private async Task<int> RunAsync(ParseResult result, CancellationToken cancellationToken)
    {
        var clock = Stopwatch.StartNew();
        var arguments = Read(result);
        var output = result.GetValue(_output);

        // A cut for tensor parallelism follows from the number of ranks alone; that of a device map from the devices' memory, too.
        var scope = arguments.DeviceMap is null || result.GetValue(_ranks) is not null ? PreparationScope.PlanOnly : PreparationScope.Run;
        var model = await PreparedModel.PrepareAsync(arguments with { Shards = ShardChoice.Off }, scope, cancellationToken);
        await Notices.SayAsync(model.Notices);
        if (model.SourceFiles.Count == 0)
        {
            throw new UsageException($"{model.Folder} has no weights to cut: give --model a folder with safetensors files.");
        }

        var source = new ShardSource(model.Folder, model.SourceFiles, model.Plan);
        var root = ShardLookup.Root(output, model.Folder);
        var folder = Path.Combine(root, ShardFolder.Key(model.Plan));
        if (!result.GetValue(_force) && ShardLookup.IsUpToDate(folder, source, cancellationToken))
        {
            await Console.Error.WriteLineAsync("coordinator: These shards are there already, and up to date; --force makes them anew.");
            Console.Out.WriteLine(folder);
            return ExitCodes.Done;
        }

        var isNew = !Directory.Exists(root);
        using var progress = LoadProgressBar.OnStandardError(workers: 1);
        var program = WorkerProgram.Find(AppContext.BaseDirectory, Environment.GetEnvironmentVariable(WorkerProgram.OverrideVariable));
        var threads = arguments.LoadThreads ?? Math.Min(MostThreads, Environment.ProcessorCount);
        try
        {
            await new ShardJob(program).RunAsync(source, folder, threads, progress, cancellationToken);
        }
        finally
        {
            if (isNew)
            {
                ShardJob.RemoveIfEmpty(root);
            }
        }

        progress.Close();
        var bytes = ShardManifest.Read(folder).Bytes;
        await Console.Error.WriteLineAsync(string.Create(
            CultureInfo.InvariantCulture,
            $"coordinator: {model.Plan.WorldSize} shards of {bytes / 1e6:F1} MB in all, cut in {clock.Elapsed.TotalSeconds:F1} s; starts with this cut read them")
            + (output is null ? "." : $" with --shards {output}."));
        Console.Out.WriteLine(folder);
        return ExitCodes.Done;
    }

    private ModelArguments Read(ParseResult result)
    {
        var arguments = _model.Read(result);
        if (arguments.RandomWeights)
        {
            throw new UsageException("shard cuts the weights of a checkpoint: leave out --weights random.");
        }

        return result.GetValue(_ranks) switch
        {
            null => arguments,
            < 1 and var ranks => throw new UsageException($"--ranks is {ranks}: give a number of at least 1."),
            _ when arguments.Gpus is not null || arguments.CpuWorkers is not null || arguments.MaxMemory is not null =>
                throw new UsageException("--ranks takes the place of --gpus, --cpu-workers and --max-memory: give one of them."),
            var ranks => arguments with { CpuWorkers = ranks },
        };
    }
}
