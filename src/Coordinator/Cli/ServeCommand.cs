using System.CommandLine;
using System.Net;
using TensorParallel.Coordinator.Api;
using TensorParallel.Coordinator.Engine;
using TensorParallel.Coordinator.Hosting;
using TensorParallel.Protocol.Parallel;

namespace TensorParallel.Coordinator.Cli;

/// <summary>
/// <c>coordinator serve</c>, also without the word: serves gRPC until Ctrl-C, which lets running requests finish.
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
        Description = "Seconds that running requests get to finish after Ctrl-C.",
        HelpName = "S",
        DefaultValueFactory = _ => 30,
        CustomParser = NumberArgument.Read<int>,
    };

    /// <summary>The command for the command line.</summary>
    public Command Create()
    {
        var command = new Command("serve", "Serve a model by gRPC (the default command).");
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
        command.SetAction((result, _) => CommandGuard.RunAsync(signals => RunAsync(result, signals)));
    }

    private async Task<int> RunAsync(ParseResult result, StopSignals signals)
    {
        var listen = ReadListen(result);
        var grace = result.GetValue(_grace) is var seconds and >= 0 and <= MostGraceSeconds
            ? TimeSpan.FromSeconds(seconds)
            : throw new UsageException($"--grace is {result.GetValue(_grace)}: give seconds from 0 to {MostGraceSeconds}.");
        var arguments = _model.Read(result);
        var logLevel = _model.ReadLogLevel(result, whenNotGiven: LogLevel.Information);
        var model = await PreparedModel.PrepareAsync(arguments, PreparationScope.Run, signals.Stopping);
        await Notices.SayAsync(model.Notices);
        using var loggers = CoordinatorLogging.Create(logLevel);
        using var progress = LoadProgressBar.OnStandardError(model.Plan.WorldSize);
        await using var host = ModelHost.Create(model, arguments, progress, loggers);
        var failed = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        host.Engine.StateChanged += state =>
        {
            if (state == EngineState.Failed)
            {
                failed.TrySetResult();
            }
        };
        await using var server = await ApiServer.StartAsync(host.Served, listen, logLevel, signals.Stopping);
        await host.StartAsync(signals.Stopping);
        progress.Close();
        SayHowToCall(host, server);

        var stopped = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var registration = signals.Stopping.Register(() => stopped.TrySetResult());
        if (await Task.WhenAny(stopped.Task, failed.Task) == failed.Task)
        {
            await Console.Error.WriteLineAsync("coordinator: the workers cannot be started again; the log above says why.");
            return ExitCodes.RunFailed;
        }

        await Console.Error.WriteLineAsync(
            $"coordinator: stopping; running requests get {grace.TotalSeconds:F0} s (again: stop at once).");
        await host.Engine.DrainAsync(grace, signals.Hurrying);
        return ExitCodes.Done;
    }

    private ApiListenOptions ReadListen(ParseResult result)
    {
        var host = result.GetValue(_host)!;
        return IPAddress.TryParse(host == "localhost" ? "127.0.0.1" : host, out var address)
            ? new ApiListenOptions
            {
                Address = address,
                GrpcPort = Port(result, _port),
                HttpPort = Port(result, _httpPort),
            }
            : throw new UsageException($"--host is \"{host}\": give an IP address, for example 127.0.0.1 or 0.0.0.0.");
    }

    private static int Port(ParseResult result, Option<int> option) => result.GetValue(option) is var port and >= 0 and <= 65535
        ? port
        : throw new UsageException($"{option.Name} is {result.GetValue(option)}: give a port from 0 (any free one) to 65535.");

    private static void SayHowToCall(ModelHost host, ApiServer server)
    {
        var plan = host.Model.Plan;
        var load = host.Groups.Current?.LoadSummary;
        var grpc = new Uri(server.Addresses[0]);
        var input = host.Model.Tokenizer is null ? "{\"prompt_ids\": {\"ids\": [1, 2]}}" : "{\"prompt\": \"In the beginning\"}";
        Console.Out.WriteLine(
            $"""
            {host.Model.Name} is ready: {PlanModeNames.NameOf(plan.Mode)} on {plan.WorldSize} workers, loaded in {load?.Elapsed.TotalSeconds:F2} s ({load?.GigabytesPerSecond:F1} GB/s).
              gRPC  {server.Addresses[0]}  tensorparallel.v1.Inference (Generate, Tokenize, Detokenize, GetModelInfo, GetStats), health, reflection
              HTTP  {server.Addresses[1]}  help page and /health
              try   grpcurl -plaintext -d '{input}' {grpc.Host}:{grpc.Port} tensorparallel.v1.Inference/Generate
              stop  Ctrl-C: running requests are finished first
            """);
        foreach (var reason in plan.FallbackReasons)
        {
            Console.Out.WriteLine($"  Not tensor parallel: {reason}");
        }
    }
}
