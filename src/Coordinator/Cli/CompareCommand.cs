using System.CommandLine;
using System.Text.Json;
using Spectre.Console;
using TensorParallel.Coordinator.Comparison;
using TensorParallel.Coordinator.Engine;
using TensorParallel.Coordinator.Hosting;
using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Protocol.Generation;
using TensorParallel.Protocol.Parallel;

namespace TensorParallel.Coordinator.Cli;

/// <summary>
/// <c>coordinator compare</c>: the same prompts through tensor parallelism and through the sequential device map, on
/// the same devices, one mode after the other.
/// </summary>
internal sealed class CompareCommand
{
    private const int DefaultNewTokens = 64;

    private static readonly string[] s_defaultPrompts =
        ["In the beginning", "It was a truth", "She walked along the road and"];

    private readonly ModelOptions _model = new();
    private readonly SamplingOptions _sampling = new();
    private readonly PromptOptions _prompts = new(single: false);

    private readonly Option<int> _repetitions = new("--repeat")
    {
        Description = "Measured runs of each prompt.",
        HelpName = "N",
        DefaultValueFactory = _ => 3,
        CustomParser = NumberArgument.Read<int>,
    };

    private readonly Option<string?> _output = new("--output", "-o")
    {
        Description = "Write the table as Markdown to this file too.",
        HelpName = "FILE",
    };

    private readonly Option<bool> _json = new("--json") { Description = "Print the figures as JSON instead of a table." };

    /// <summary>The command for the command line.</summary>
    public Command Create()
    {
        var command = new Command("compare", "Compare tensor parallelism with the sequential device map on the same devices.");
        _prompts.AddTo(command);
        _sampling.AddTo(command);
        _model.AddTo(command);
        command.Options.Add(_repetitions);
        command.Options.Add(_output);
        command.Options.Add(_json);
        command.SetAction((result, _) => CommandGuard.RunAsync(signals => RunAsync(result, signals.Stopping)));
        return command;
    }

    private async Task<int> RunAsync(ParseResult result, CancellationToken cancellationToken)
    {
        var arguments = _model.Read(result);
        if (arguments.DeviceMap is not null)
        {
            throw new UsageException("compare runs the device map anyway: leave out --device-map.");
        }

        var repetitions = result.GetValue(_repetitions);
        if (repetitions < 1)
        {
            throw new UsageException($"--repeat is {repetitions}: give a number of at least 1.");
        }

        using var markdown = result.GetValue(_output) is { } file ? ResultFile.Open(_output.Name, file) : null;
        using var loggers = CoordinatorLogging.Create(_model.ReadLogLevel(result));
        var sampling = _sampling.Read(result);
        var requested = await PreparedModel.PrepareAsync(arguments, PreparationScope.Run, cancellationToken);
        await Notices.SayAsync(requested.Notices);
        var requests = Requests(requested, result, sampling);
        var tensorParallel = requested.Plan.Mode == PlanMode.TensorParallel
            ? await MeasureAsync(requested, arguments, requests, repetitions, loggers, cancellationToken)
            : null;

        var mapArguments = arguments with { TpPlan = null, DeviceMap = "fit" };
        var mapped = await PreparedModel.PrepareAsync(mapArguments, PreparationScope.Run, cancellationToken);
        var deviceMap = await MeasureAsync(mapped, mapArguments, requests, repetitions, loggers, cancellationToken);
        var report = new ComparisonReport(
            requested.Name,
            requested.Plan.DType.HuggingFaceName(),
            [.. requested.Plan.Ranks.Select(rank => rank.Device)],
            requests.Count,
            requests.Max(request => request.MaxNewTokens),
            repetitions,
            tensorParallel,
            deviceMap,
            requested.Plan.FallbackReasons,
            tensorParallel is null ? [] : TokenAgreement.Of(tensorParallel, deviceMap));
        await ShowAsync(result, report, markdown, cancellationToken);
        return ExitCodes.Done;
    }

    private IReadOnlyList<GenerateRequest> Requests(PreparedModel model, ParseResult result, GenerateOptions sampling)
    {
        var prompts = _prompts.Read(result);
        if (prompts.Count == 0)
        {
            prompts = model.Tokenizer is null
                ? throw new UsageException("The model has no tokenizer: give the prompts with --prompt-ids.")
                : [.. s_defaultPrompts.Select(PromptInput.OfText)];
        }

        // Modes are compared at equal work: ends of sequence are ignored, and every run generates the same number of
        // tokens.
        var options = sampling with { MaxNewTokens = sampling.MaxNewTokens ?? DefaultNewTokens, IgnoreEos = true };
        return [.. prompts.Select(prompt => model.Requests.Create(prompt, options))];
    }

    private static async Task<ModeMeasurement> MeasureAsync(
        PreparedModel model,
        ModelArguments arguments,
        IReadOnlyList<GenerateRequest> requests,
        int repetitions,
        ILoggerFactory loggers,
        CancellationToken cancellationToken)
    {
        await Console.Error.WriteLineAsync(
            $"coordinator: {PlanModeNames.NameOf(model.Plan.Mode)} on {model.Plan.WorldSize} workers …");
        using var progress = LoadProgressBar.OnStandardError(model.Plan.WorldSize);
        var measurement = await ModeRun.MeasureAsync(
            model, arguments, requests, repetitions, progress, loggers, cancellationToken);
        progress.Close();
        return measurement;
    }

    private async Task ShowAsync(
        ParseResult result, ComparisonReport report, ResultFile? markdown, CancellationToken cancellationToken)
    {
        if (markdown is not null)
        {
            await markdown.WriteAsync(ComparisonMarkdown.Of(report, CommandLineText.Current), cancellationToken);
        }

        if (result.GetValue(_json))
        {
            Console.Out.WriteLine(JsonSerializer.Serialize(report));
            return;
        }

        foreach (var reason in report.FallbackReasons)
        {
            Console.Out.WriteLine($"Tensor parallelism is not possible: {reason}");
        }

        var table = new Table().Border(TableBorder.Rounded);
        foreach (var heading in ComparisonRows.Headings)
        {
            table.AddColumn(new TableColumn(Markup.Escape(heading)));
        }

        foreach (var row in ComparisonRows.Of(report))
        {
            table.AddRow([.. row.Select(Markup.Escape)]);
        }

        AnsiConsole.Write(table);
    }
}
