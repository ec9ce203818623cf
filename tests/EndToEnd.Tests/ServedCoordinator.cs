using System.Text.RegularExpressions;
using Grpc.Core;
using Grpc.Net.Client;
using TensorParallel.Protocol.Wire.Inference;

namespace TensorParallel.EndToEnd.Tests;

/// <summary>A running <c>coordinator serve</c> on free loopback ports, with a client.</summary>
internal sealed partial class ServedCoordinator : IAsyncDisposable
{
    private readonly GrpcChannel _channel;

    private ServedCoordinator(CoordinatorProcess process, string address)
    {
        Process = process;
        Address = address;
        _channel = GrpcChannel.ForAddress(address);
        Client = new Inference.InferenceClient(_channel);
    }

    public CoordinatorProcess Process { get; }

    /// <summary>Of gRPC, for example <c>http://127.0.0.1:40123</c>.</summary>
    public string Address { get; }

    public Inference.InferenceClient Client { get; }

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
        await Process.DisposeAsync();
    }

    [GeneratedRegex(@"gRPC\s+(http://\S+)")]
    private static partial Regex AddressLine();
}
