using System.CommandLine;
using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using TensorParallel.Coordinator.Benchmarking;
using TensorParallel.Coordinator.Hosting;
using TensorParallel.Coordinator.Workers;
using TensorParallel.Protocol.Generation;
using TensorParallel.Protocol.Parallel;

namespace TensorParallel.Coordinator.Cli;

/// <summary>
/// <c>coordinator generate</c>: one generation, streamed to standard output; everything else goes to standard error.
/// Opens no TCP port.
/// </summary>
internal sealed partial class GenerateCommand
{
    private readonly ModelOptions _model = new();
    private readonly SamplingOptions _sampling = new();
    private readonly PromptOptions _prompts = new(single: true);
    private readonly Option<bool> _json = new("--json") { Description = "Print one JSON object instead of text." };

    /// <summary>The command for the command line.</summary>
    public Command Create()
    {
        var command = new Command("generate", "Generate once and print the text as it comes.");
        _prompts.AddTo(command);
        _sampling.AddTo(command);
        _model.AddTo(command);
        command.Options.Add(_json);
        command.SetAction((result, _) => CommandGuard.RunAsync(signals => RunAsync(result, signals.Stopping)));
        return command;
    }

    private async Task<int> RunAsync(ParseResult result, CancellationToken cancellationToken)
    {
        var start = new StartClock();
        var prompts = _prompts.Read(result);
        var arguments = _model.Read(result);
        var model = await PreparedModel.PrepareAsync(arguments, PreparationScope.Run, cancellationToken);
        var request = model.Requests.Create(prompts.Single(), _sampling.Read(result));
        start.Mark("prepare");
        await Notices.SayAsync(model.Notices);
        using var loggers = CoordinatorLogging.Create(_model.ReadLogLevel(result));
        using var progress = LoadProgressBar.OnStandardError(model.Plan.WorldSize);
        await using var host = ModelHost.Create(model, arguments, progress, loggers);
        await host.StartAsync(cancellationToken);
        start.Mark("workers");
        var load = host.Groups.Current!.LoadSummary!;
        start.Add(load);
        progress.Close();

        var json = result.GetValue(_json);
        var output = new GenerateOutput(json ? TextWriter.Null : Console.Out, model.Tokenizer is not null);
        await foreach (var generated in host.Engine.GenerateAsync(request, cancellationToken))
        {
            if (generated is GenerateEvent.Token && output.Tokens.Count == 0)
            {
                start.Mark("first token");
            }

            await output.AddAsync(generated);
        }

        if (loggers.CreateLogger<GenerateCommand>() is var logger && logger.IsEnabled(LogLevel.Information))
        {
            Log.Started(logger, start.Report());
        }

        var timings = output.Finished!.Timings;
        if (json)
        {
            var memory = await RankMemoryReport.OfAsync(host.Groups.Current!, model.Plan, model.FreeBytes);
            Console.Out.WriteLine(JsonSerializer.Serialize(Report(model, request, output, load, start.Report()) with { Memory = memory }));
        }
        else
        {
            Console.Out.WriteLine();
            await Console.Error.WriteLineAsync(
                $"coordinator: {timings.GeneratedTokens} tokens on {model.Plan.WorldSize} "
                + $"worker{(model.Plan.WorldSize == 1 ? "" : "s")} "
                + $"({PlanModeNames.NameOf(model.Plan.Mode)}): first after {timings.TimeToFirstToken.TotalMilliseconds:F0} ms, "
                + $"then {timings.DecodeTokensPerSecond:F1} tokens/s; loaded in {load.Elapsed.TotalSeconds:F2} s "
                + string.Create(CultureInfo.InvariantCulture, $"({load.GigabytesPerSecond:F1} GB/s)."));
        }

        return ExitCodes.Done;
    }

    private static GenerateReport Report(
        PreparedModel model, GenerateRequest request, GenerateOutput output, LoadSummary load, StartReport start) => new()
        {
            PromptIds = request.PromptIds,
            TokenIds = [.. output.Tokens.Select(token => token.TokenId)],
            Text = output.Text,
            FinishReason = GenerateReport.Word(output.Finished!.Reason),
            Seed = request.Sampling.Temperature > 0 ? request.Sampling.Seed : null,
            Plan = JsonNode.Parse(PlanJson.Serialize(model.Plan))!,
            Timings = new GenerateReportTimings(
            load.Elapsed.TotalSeconds,
            load.GigabytesPerSecond,
            output.Finished.Timings.TimeToFirstToken.TotalMilliseconds,
            output.Finished.Timings.DecodeTokensPerSecond),
            Start = start,
            Memory = [],
            LogProbs = request.Sampling.LogProbs > 0 ? [.. output.Tokens.Select(LogProbs)] : null,
        };

    private static GenerateReportLogProbs LogProbs(SampledToken token) => new(
        token.TokenId,
        token.LogProb ?? throw new UnreachableException("Log-probabilities were asked for but not reported."),
        [.. token.TopLogProbs.Select(top => new GenerateReportTopToken(top.TokenId, top.LogProb))]);

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Information, "{Start}")]
        public static partial void Started(ILogger logger, StartReport start);
    }
}
