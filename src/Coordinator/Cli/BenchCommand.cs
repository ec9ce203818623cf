using System.CommandLine;
using System.Diagnostics;
using TensorParallel.Coordinator.Benchmarking;
using TensorParallel.Coordinator.Engine;
using TensorParallel.Coordinator.Hosting;
using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Protocol.Parallel;

namespace TensorParallel.Coordinator.Cli;

/// <summary>
/// <c>coordinator bench</c>: latency and throughput of a model over a grid of prompts and batches, with what stands behind them.
/// </summary>
internal sealed class BenchCommand
{
    private readonly ModelOptions _model = new();
    private readonly BenchOptions _bench = new();

    /// <summary>The command for the command line.</summary>
    public Command Create()
    {
        var command = new Command(
            "bench", "Measure latency and throughput of a model; with --weights random of a bare config.json.");
        _bench.AddTo(command);
        _model.AddTo(command);
        command.SetAction((result, _) => CommandGuard.RunAsync(signals => RunAsync(result, signals.Stopping)));
        return command;
    }

    private async Task<int> RunAsync(ParseResult result, CancellationToken cancellationToken)
    {
        var settings = _bench.Read(result);
        var compare = _bench.ReadCompare(result);
        var arguments = settings.Grid.Sized(_model.Read(result));
        if (compare == BenchComparison.DeviceMap && arguments.DeviceMap is not null)
        {
            throw new UsageException("--compare device-map runs the device map anyway: leave out --device-map.");
        }

        var (wantsJson, file) = _bench.ReadJson(result);
        using var json = file is null ? null : ResultFile.Open(_bench.JsonName, file);
        using var loggers = CoordinatorLogging.Create(_model.ReadLogLevel(result));
        var model = await PrepareAsync(arguments, settings.Grid, cancellationToken);
        if (compare == BenchComparison.Unpipelined && MicroBatches.Of(model.Plan, arguments.MicroBatches) == 1)
        {
            throw new UsageException(
                "--compare unpipelined needs a device map that works on more than one micro-batch: give --device-map, at least two devices, "
                + "and no --micro-batches 1.");
        }

        var before = DateTime.Now - Process.GetCurrentProcess().StartTime;
        var modes = new List<ModeReport> { await MeasureAsync(model, arguments, settings, before, loggers, cancellationToken) };
        if (compare == BenchComparison.Unpipelined)
        {
            modes.Add(await MeasureAsync(model, arguments with { MicroBatches = 1 }, settings, null, loggers, cancellationToken));
        }
        else if (compare == BenchComparison.DeviceMap && model.Plan.Mode == PlanMode.TensorParallel)
        {
            var mapped = arguments with { TpPlan = null, DeviceMap = "fit" };
            var other = await PrepareAsync(mapped, settings.Grid, cancellationToken);
            modes.Add(await MeasureAsync(other, mapped, settings, null, loggers, cancellationToken));
        }

        var report = new BenchReport(
            CommandLineText.Current,
            model.Name,
            arguments.RandomWeights ? "random" : "checkpoint",
            model.Plan.DType.HuggingFaceName(),
            [.. model.Plan.Ranks.Select(rank => rank.Device)],
            settings.Grid.Runs,
            model.Plan.FallbackReasons,
            modes);
        if (json is not null)
        {
            await json.WriteAsync(report.ToJson() + Environment.NewLine, cancellationToken);
        }

        Show(report, asJson: wantsJson && file is null);
        return ExitCodes.Done;
    }

    private static async Task<PreparedModel> PrepareAsync(
        ModelArguments arguments, BenchGrid grid, CancellationToken cancellationToken)
    {
        var model = await PreparedModel.PrepareAsync(arguments, PreparationScope.Run, cancellationToken);
        return grid.Cells.Select(cell => BenchGrid.Problem(cell, model.Plan.Limits)).OfType<string>().FirstOrDefault() is { } problem
            ? throw new UsageException($"{char.ToUpperInvariant(problem[0])}{problem[1..]}")
            : model;
    }

    private static async Task<ModeReport> MeasureAsync(
        PreparedModel model,
        ModelArguments arguments,
        BenchSettings settings,
        TimeSpan? before,
        ILoggerFactory loggers,
        CancellationToken cancellationToken)
    {
        var mode = PlanModeNames.NameOf(model.Plan.Mode);
        var parts = MicroBatches.Of(model.Plan, arguments.MicroBatches) is > 1 and var number ? $" in {number} micro-batches" : "";
        Console.Error.WriteLine($"coordinator: {mode}{parts} on {model.Plan.WorldSize} workers …");
        using var progress = LoadProgressBar.OnStandardError(model.Plan.WorldSize);
        var bench = new ModeBench(model, arguments, settings, loggers, line =>
        {
            progress.Close();
            Console.Error.WriteLine($"coordinator: {line}");
        });
        return await bench.MeasureAsync(before, progress, cancellationToken);
    }

    private static void Show(BenchReport report, bool asJson)
    {
        if (asJson)
        {
            Console.Out.WriteLine(report.ToJson());
            return;
        }

        foreach (var line in BenchText.Of(report))
        {
            Console.Out.WriteLine(line);
        }
    }
}
