using System.Text.RegularExpressions;
using Grpc.Core;
using Grpc.Net.Client;
using TensorParallel.Protocol.Wire.Admin;
using TensorParallel.Protocol.Wire.Inference;

namespace TensorParallel.EndToEnd.Tests;

/// <summary>A running <c>coordinator serve</c> on free loopback ports, with a client.</summary>
internal sealed partial class ServedCoordinator : IAsyncDisposable
{
    private readonly GrpcChannel _channel;
    private readonly GrpcChannel? _adminChannel;

    private ServedCoordinator(CoordinatorProcess process, string address)
    {
        Process = process;
        Address = address;
        _channel = GrpcChannel.ForAddress(address);
        Client = new Inference.InferenceClient(_channel);
        if (AdminLine().Match(process.Output) is { Success: true } admin)
        {
            AdminAddress = admin.Groups[1].Value;
            _adminChannel = GrpcChannel.ForAddress(AdminAddress);
        }
    }

    public CoordinatorProcess Process { get; }

    /// <summary>Of gRPC, for example <c>http://127.0.0.1:40123</c>.</summary>
    public string Address { get; }

    public Inference.InferenceClient Client { get; }

    /// <summary>Of the admin service, where <c>--admin-port</c> was given.</summary>
    public string? AdminAddress { get; }

    public Admin.AdminClient Admin => new(_adminChannel!);

    /// <summary>Starts without the word "serve" and waits until it says that it is ready.</summary>
    public static async Task<ServedCoordinator> StartAsync(params string[] arguments)
    {
        var process = CoordinatorProcess.Start(["--port", "0", "--http-port", "0", .. arguments]);
        try
        {
            await process.WaitForAsync("stop  Ctrl-C");
            return new ServedCoordinator(process, AddressLine().Match(process.Output).Groups[1].Value);
        }
        catch
        {
            await process.DisposeAsync();
            throw;
        }
    }

    /// <summary>A long greedy generation.</summary>
    public static GenerateRequest LongRequest(int tokens = 1500) =>
        new() { Prompt = "In the beginning", MaxNewTokens = tokens, IgnoreEos = true };

    /// <summary>Runs a prompt of a golden as it was recorded: greedy, to its end.</summary>
    public async Task<IReadOnlyList<int>> GreedyAsync(GoldenRun run, string? model = null)
    {
        var request = new GenerateRequest
        {
            PromptIds = new TokenIds { Ids = { run.PromptIds } },
            MaxNewTokens = run.GreedyIds.Length,
            MinNewTokens = run.GreedyIds.Length,
        };
        if (model is not null)
        {
            request.Model = model;
        }

        using var call = Client.Generate(request);
        var ids = new List<int>();
        await foreach (var message in call.ResponseStream.ReadAllAsync(TestContext.Current.CancellationToken))
        {
            if (message.Token is { } token)
            {
                ids.Add(token.Id);
            }
        }

        return ids;
    }

    /// <summary>Reads token events until there are enough, or the call ends.</summary>
    public static async Task<int> ReadTokensAsync(AsyncServerStreamingCall<GenerateResponse> call, int enough)
    {
        var tokens = 0;
        while (tokens < enough && await call.ResponseStream.MoveNext(TestContext.Current.CancellationToken))
        {
            tokens += call.ResponseStream.Current.EventCase == GenerateResponse.EventOneofCase.Token ? 1 : 0;
        }

        return tokens;
    }

    public async ValueTask DisposeAsync()
    {
        _channel.Dispose();
        _adminChannel?.Dispose();
        await Process.DisposeAsync();
    }

    [GeneratedRegex(@"admin\s+(http://\S+)")]
    private static partial Regex AdminLine();

    [GeneratedRegex(@"gRPC\s+(http://\S+)")]
    private static partial Regex AddressLine();
}
