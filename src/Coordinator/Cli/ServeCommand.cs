using System.CommandLine;
using System.Net;
using TensorParallel.Coordinator.Api;
using TensorParallel.Coordinator.Engine;
using TensorParallel.Coordinator.Hosting;
using TensorParallel.Coordinator.Planning.Offloading;
using TensorParallel.Protocol.Parallel;

namespace TensorParallel.Coordinator.Cli;

/// <summary>
/// <c>coordinator serve</c>, also without the word: serves one model or several by gRPC until Ctrl-C, which lets running requests finish.
/// </summary>
internal sealed class ServeCommand
{
    // A day; timers end at 49 days.
    private const int MostGraceSeconds = 24 * 3600;

    private readonly ModelOptions _model = new();

    private readonly Option<string> _host = new("--host")
    {
        Description = "Address to listen on. 127.0.0.1 is this machine only; there is no authentication.",
        HelpName = "IP",
        DefaultValueFactory = _ => "127.0.0.1",
    };

    private readonly Option<int> _port = new("--port")
    {
        Description = "gRPC port (HTTP/2 without TLS); 0: any free one.",
        HelpName = "N",
        DefaultValueFactory = _ => 50051,
        CustomParser = NumberArgument.Read<int>,
    };

    private readonly Option<int> _httpPort = new("--http-port")
    {
        Description = "HTTP/1.1 port (help page, /health); 0: any free one.",
        HelpName = "N",
        DefaultValueFactory = _ => 8080,
        CustomParser = NumberArgument.Read<int>,
    };

    private readonly Option<int> _grace = new("--grace")
    {
        Description = "Seconds that running requests get to finish after Ctrl-C, and when their model is unloaded.",
        HelpName = "S",
        DefaultValueFactory = _ => 30,
        CustomParser = NumberArgument.Read<int>,
    };

    private readonly Option<int?> _adminPort = new("--admin-port")
    {
        Description = "Port of the admin gRPC service (LoadModel, UnloadModel, ListModels, GetMemory, ResetPeaks), on 127.0.0.1 whatever "
            + "--host says; 0: any free one. Default: it is not served.",
        HelpName = "N",
        CustomParser = NumberArgument.ReadOptional<int>,
    };

    private readonly Option<string[]> _modelRoots = new("--model-root")
    {
        Arity = ArgumentArity.OneOrMore,
        Description = "Folder below which LoadModel may load models; may be given several times. Default: only those of --model.",
        HelpName = "DIR",
    };

    /// <summary>The command for the command line.</summary>
    public Command Create()
    {
        var command = new Command("serve", "Serve models by gRPC (the default command): --model DIR, or --model NAME=DIR several times.");
        Configure(command);
        return command;
    }

    /// <summary>Gives a command these options and this action.</summary>
    public void Configure(Command command)
    {
        _model.AddTo(command);
        command.Options.Add(_host);
        command.Options.Add(_port);
        command.Options.Add(_httpPort);
        command.Options.Add(_grace);
        command.Options.Add(_adminPort);
        command.Options.Add(_modelRoots);
        command.SetAction((result, _) => CommandGuard.RunAsync(signals => RunAsync(result, signals)));
    }

    private async Task<int> RunAsync(ParseResult result, StopSignals signals)
    {
        var listen = ReadListen(result);
        var grace = result.GetValue(_grace) is var seconds and >= 0 and <= MostGraceSeconds
            ? TimeSpan.FromSeconds(seconds)
            : throw new UsageException($"--grace is {result.GetValue(_grace)}: give seconds from 0 to {MostGraceSeconds}.");
        var arguments = ReadModels(result);
        var logLevel = _model.ReadLogLevel(result, whenNotGiven: LogLevel.Information);
        var roots = new ModelRoots(result.GetValue(_modelRoots) ?? [], arguments.Select(model => model.Model ?? DemoModel.Folder()));
        using var loggers = CoordinatorLogging.Create(logLevel);
        using var progress = new LoadProgressBars();
        await using var registry = new ModelRegistry(
            new ModelRegistryOptions(arguments[0] with { Model = null, Name = null }, roots, grace), loggers);
        var models = await registry.PrepareAsync(arguments, progress.Add, signals.Stopping);
        await Notices.SayAsync([.. models.SelectMany(model => model.Host.Model.Notices).Distinct()]);
        var failed = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        registry.Served.Changed += () =>
        {
            if (registry.HasFailed)
            {
                failed.TrySetResult();
            }
        };
        await using var server = await ApiServer.StartAsync(registry.Served, registry, listen, logLevel, signals.Stopping);
        foreach (var model in models)
        {
            try
            {
                await registry.StartAsync(model, signals.Stopping);
            }
            catch (EngineUnavailableException exception) when (model.IsUnloading)
            {
                // An administrator took it out while it was loaded: the others serve.
                await Console.Error.WriteLineAsync($"coordinator: {exception.Message}");
            }
        }

        progress.Close();
        SayHowToCall([.. models.Where(model => model is { IsLoading: false, IsUnloading: false })], server);

        var stopped = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var registration = signals.Stopping.Register(() => stopped.TrySetResult());
        if (await Task.WhenAny(stopped.Task, failed.Task) == failed.Task)
        {
            await Console.Error.WriteLineAsync("coordinator: the workers cannot be started again; the log above says why.");
            return ExitCodes.RunFailed;
        }

        await Console.Error.WriteLineAsync(
            $"coordinator: stopping; running requests get {grace.TotalSeconds:F0} s (again: stop at once).");
        await registry.DrainAsync(grace, signals.Hurrying);
        return ExitCodes.Done;
    }

    // Of several models --offload model makes those that are idle leave the devices whole; a single one has nobody to make room for, so
    // that its parts do.
    private IReadOnlyList<ModelArguments> ReadModels(ParseResult result)
    {
        var models = _model.ReadAll(result);
        var names = models.Select(model => model.Name ?? NameOf(model.Model ?? DemoModel.Folder())).ToList();
        if (names.GroupBy(name => name).FirstOrDefault(group => group.Count() > 1) is { } twice)
        {
            throw new UsageException($"Two models are named {twice.Key}: give names, --model NAME=DIR.");
        }

        return models.Count == 1 || models[0].Offload.Kind != OffloadKind.Model
            ? models
            : [.. models.Select(model => model with { Evictable = true, Offload = new OffloadRequest() })];
    }

    private static string NameOf(string path) => Path.GetFileName(Path.TrimEndingDirectorySeparator(Path.GetFullPath(path)));

    private ApiListenOptions ReadListen(ParseResult result)
    {
        var host = result.GetValue(_host)!;
        return IPAddress.TryParse(host == "localhost" ? "127.0.0.1" : host, out var address)
            ? new ApiListenOptions
            {
                Address = address,
                GrpcPort = Port(_port, result.GetValue(_port)),
                HttpPort = Port(_httpPort, result.GetValue(_httpPort)),
                AdminPort = result.GetValue(_adminPort) is { } port ? Port(_adminPort, port) : null,
            }
            : throw new UsageException($"--host is \"{host}\": give an IP address, for example 127.0.0.1 or 0.0.0.0.");
    }

    private static int Port(Option option, int port) => port is >= 0 and <= 65535
        ? port
        : throw new UsageException($"{option.Name} is {port}: give a port from 0 (any free one) to 65535.");

    private static void SayHowToCall(IReadOnlyList<HostedModel> models, ApiServer server)
    {
        foreach (var model in models)
        {
            var plan = model.Host.Model.Plan;
            var load = model.Host.Groups.Current?.LoadSummary;
            Console.Out.WriteLine(
                $"{model.Name} is ready: {PlanModeNames.NameOf(plan.Mode)} on {plan.WorldSize} workers, "
                + $"loaded in {load?.Elapsed.TotalSeconds:F2} s ({load?.GigabytesPerSecond:F1} GB/s).");
        }

        var grpc = new Uri(server.Addresses[0]);
        var input = models.Count == 0 || models[0].Host.Model.Tokenizer is null ? "{\"prompt_ids\": {\"ids\": [1, 2]}}" : "{\"prompt\": \"In the beginning\"}";
        Console.Out.WriteLine(
            $"""
              gRPC  {server.Addresses[0]}  tensorparallel.v1.Inference (Generate, Tokenize, Detokenize, GetModelInfo, GetStats), health, reflection
              HTTP  {server.Addresses[1]}  help page and /health
            """);
        if (server.AdminAddress is { } admin)
        {
            Console.Out.WriteLine($"  admin {admin}  tensorparallel.v1.Admin (LoadModel, UnloadModel, ListModels, GetMemory, ResetPeaks)");
        }

        Console.Out.WriteLine(
            $"""
              try   grpcurl -plaintext -d '{input}' {grpc.Host}:{grpc.Port} tensorparallel.v1.Inference/Generate
              stop  Ctrl-C: running requests are finished first
            """);
        foreach (var reason in models.SelectMany(model => model.Host.Model.Plan.FallbackReasons).Distinct())
        {
            Console.Out.WriteLine($"  Not tensor parallel: {reason}");
        }
    }
}
