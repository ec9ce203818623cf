using System.CommandLine;
using System.Text.Encodings.Web;
using System.Text.Json;
using Spectre.Console;
using TensorParallel.Coordinator.Hosting;
using TensorParallel.Coordinator.Planning;
using TensorParallel.Coordinator.Planning.DeviceMaps;
using TensorParallel.Coordinator.Planning.Estimates;

namespace TensorParallel.Coordinator.Cli;

/// <summary>
/// <c>coordinator estimate</c>: what a model needs, from its config.json alone; looks for no device and reads no
/// weight.
/// </summary>
internal sealed class EstimateCommand
{
    private const int MostBatch = 65_536;

    private static readonly JsonSerializerOptions s_json = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    private readonly Option<string?> _model = new("--model", "-m")
    {
        Description = "Model folder as Hugging Face lays it out, or a bare config.json. Default: the demo model.",
        HelpName = "DIR",
    };

    private readonly Option<string> _dtype = new("--dtype")
    {
        Description = "auto (the checkpoint's), float32, bfloat16 or float16.",
        HelpName = "DTYPE",
        DefaultValueFactory = _ => "auto",
    };

    private readonly Option<int?> _context = new("--context")
    {
        Description = "Tokens of a sequence. Default: the model's limit, at most 8192.",
        HelpName = "N",
        CustomParser = NumberArgument.ReadOptional<int>,
    };

    private readonly Option<int?> _batch = new("--batch")
    {
        Description = "Sequences at once. Default: 1.",
        HelpName = "B",
        CustomParser = NumberArgument.ReadOptional<int>,
    };

    private readonly Option<string?> _maxMemory = new("--max-memory")
    {
        Description = "Devices and the bytes each may use, for example 0=24GiB,1=24GiB,cpu=64GiB: says what fits " +
            "there, and how long a context.",
        HelpName = "LIST",
    };

    private readonly OffloadOptions _offload = new();

    private readonly Option<bool> _json = new("--json") { Description = "Print the estimate as JSON." };

    /// <summary>The command for the command line.</summary>
    public Command Create()
    {
        var command = new Command("estimate", "Print what a model needs: weights by format, KV cache, and each " +
            "device's part.");
        foreach (var option in (Option[])[_model, _dtype, _context, _batch, _maxMemory, .. _offload.All, _json])
        {
            command.Options.Add(option);
        }

        command.SetAction((result, _) => CommandGuard.RunAsync(_ => Task.FromResult(Run(result))));
        return command;
    }

    private int Run(ParseResult result)
    {
        var estimate = Estimator.Of(Read(result));
        if (result.GetValue(_json))
        {
            Console.Out.WriteLine(JsonSerializer.Serialize(estimate, s_json));
        }
        else
        {
            var console = Console.IsOutputRedirected ? PlanPrinter.Plain(Console.Out) : AnsiConsole.Console;
            new EstimatePrinter(console).Print(estimate);
        }

        return ExitCodes.Done;
    }

    private EstimateRequest Read(ParseResult result)
    {
        var model = result.GetValue(_model) is not "" and var given
            ? given
            : throw new UsageException("--model is empty: give a model folder, or leave it out for the demo model.");
        var path = Path.TrimEndingDirectorySeparator(Path.GetFullPath(model ?? DemoModel.Folder()));
        var (spec, dtype, modules, canCompute) = PreparedMap.Open(path, result.GetValue(_dtype) ?? "auto");
        return new EstimateRequest(
            Path.GetFileName(path),
            spec,
            modules,
            canCompute,
            dtype,
            Number(result, _context, spec.MaxPositionEmbeddings, "the model's limit is"),
            Number(result, _batch, MostBatch, "the most is") ?? 1,
            result.GetValue(_maxMemory) is { } memory ? MaxMemory.Parse(memory) : null)
        {
            Offload = _offload.Read(result),
        };
    }

    private static int? Number(ParseResult result, Option<int?> option, int most, string limit) => result.GetValue(option) switch
    {
        < 1 and var value => throw new UsageException($"{option.Name} is {value}: give a number of at least 1."),
        var value when value > most => throw new UsageException($"{option.Name} is {value}: {limit} {most}."),
        var value => value,
    };
}
