using System.Diagnostics;
using System.Globalization;
using Grpc.Core;
using Grpc.Net.Client;
using TensorParallel.Protocol.Wire.Inference;

namespace TensorParallel.Benchmarks.Gpu;

/// <summary>
/// <c>hold-generation ADDRESS SECONDS</c>: keeps a served model generating, one request after another, so that something can be done
/// to it meanwhile (failures.sh). Says <c>token</c> at the first token, the status of a request that fails, and <c>again</c> at the
/// first token after that.
/// </summary>
internal static class HoldGeneration
{
    private static readonly TimeSpan s_pause = TimeSpan.FromMilliseconds(200);

    public static async Task<int> RunAsync(string address, string seconds)
    {
        var limit = TimeSpan.FromSeconds(int.Parse(seconds, CultureInfo.InvariantCulture));
        using var channel = GrpcChannel.ForAddress(address);
        var client = new Inference.InferenceClient(channel);
        var clock = Stopwatch.StartNew();
        var said = false;
        while (clock.Elapsed < limit)
        {
            try
            {
                var request = new GenerateRequest { Prompt = "In the beginning", MaxNewTokens = 1500, IgnoreEos = true };
                using var call = client.Generate(request, deadline: DateTime.UtcNow + limit);
                while (await call.ResponseStream.MoveNext(CancellationToken.None))
                {
                    if (!said && call.ResponseStream.Current.EventCase == GenerateResponse.EventOneofCase.Token)
                    {
                        Say("token");
                        said = true;
                    }
                }
            }
            catch (RpcException exception)
            {
                Say($"{exception.StatusCode}: {exception.Status.Detail}");
                if (said)
                {
                    await WaitAsync(client, limit - clock.Elapsed);
                    Say("again");
                    return 0;
                }

                await Task.Delay(s_pause);
            }
        }

        return 0;

        void Say(string text) => Console.WriteLine(
            string.Create(CultureInfo.InvariantCulture, $"{clock.Elapsed.TotalSeconds:F1} s: {text}"));
    }

    // A short request, until one is served.
    private static async Task WaitAsync(Inference.InferenceClient client, TimeSpan limit)
    {
        var clock = Stopwatch.StartNew();
        while (true)
        {
            try
            {
                var request = new GenerateRequest { Prompt = "In the", MaxNewTokens = 2, IgnoreEos = true };
                using var call = client.Generate(request, deadline: DateTime.UtcNow + limit);
                while (await call.ResponseStream.MoveNext(CancellationToken.None))
                {
                    // Only that it ends well counts.
                }

                return;
            }
            catch (RpcException) when (clock.Elapsed < limit)
            {
                await Task.Delay(s_pause);
            }
        }
    }
}
