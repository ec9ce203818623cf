using System.Globalization;
using Grpc.Net.Client;
using TensorParallel.Protocol.Wire.Admin;
using TensorParallel.Protocol.Wire.Inference;

namespace TensorParallel.Benchmarks.Gpu;

/// <summary>
/// What models.sh asks of a coordinator with an admin service. <c>model-turns GRPC ADMIN ROUNDS</c>: generates with the served models in
/// turns, so that those that do not fit together take each other's place; says whether each gives the tokens of its first answer, and
/// what an eviction and its undoing took. <c>model-loads GRPC ADMIN CONFIG ROUNDS</c>: loads a model of random weights, generates,
/// unloads it, again and again.
/// </summary>
internal static class ModelRounds
{
    private const int Tokens = 24;

    /// <summary>Exit code 0: every model gave the same tokens in every round.</summary>
    public static async Task<int> TurnsAsync(string address, string adminAddress, string rounds)
    {
        using var channel = GrpcChannel.ForAddress(address);
        using var adminChannel = GrpcChannel.ForAddress(adminAddress);
        var (client, admin) = (new Inference.InferenceClient(channel), new Admin.AdminClient(adminChannel));
        var first = new Dictionary<string, string>();
        var same = true;
        for (var round = 0; round < Number(rounds); round++)
        {
            foreach (var model in (await admin.ListModelsAsync(new ListModelsRequest())).Models)
            {
                var answer = await GenerateAsync(client, model.Name);
                same &= first.TryAdd(model.Name, answer) || first[model.Name] == answer;
            }
        }

        foreach (var model in (await admin.ListModelsAsync(new ListModelsRequest())).Models)
        {
            Console.WriteLine(string.Create(
                CultureInfo.InvariantCulture,
                $"{model.Name}: {model.Evictions} evictions, out {Text(model.LastEviction)}, in {Text(model.LastRestore)}"));
        }

        foreach (var device in (await admin.GetMemoryAsync(new GetMemoryRequest())).Devices)
        {
            Console.WriteLine($"{device.Device}: {device.FreeBytes >> 20} MiB of {device.TotalBytes >> 20} MiB are free");
        }

        Console.WriteLine(same ? "every model gave its first tokens again" : "TOKENS DIFFER between rounds");
        return same ? 0 : 1;
    }

    /// <summary>Exit code 0: all rounds were done.</summary>
    public static async Task<int> LoadsAsync(string address, string adminAddress, string config, string rounds)
    {
        using var channel = GrpcChannel.ForAddress(address);
        using var adminChannel = GrpcChannel.ForAddress(adminAddress);
        var (client, admin) = (new Inference.InferenceClient(channel), new Admin.AdminClient(adminChannel));
        for (var round = 0; round < Number(rounds); round++)
        {
            var loaded = await admin.LoadModelAsync(
                new LoadModelRequest { Folder = config, Name = "round", RandomWeights = true, MaxContext = 1024, MaxSequences = 2 });
            await GenerateAsync(client, "round");
            var unloaded = await admin.UnloadModelAsync(new UnloadModelRequest { Name = "round" });
            var server = (await admin.ResetPeaksAsync(new ResetPeaksRequest())).Server;
            Console.WriteLine(string.Create(
                CultureInfo.InvariantCulture,
                $"round {round}: loaded in {loaded.Seconds:F1} s, unloaded in {unloaded.Seconds:F1} s; the coordinator has "
                + $"{server.ManagedBytes / 1e6:F1} MB managed, {server.ResidentBytes / 1e6:F0} MB resident, {server.Threads} threads"));
        }

        return 0;
    }

    private static int Number(string text) => int.Parse(text, CultureInfo.InvariantCulture);

    private static string Text(ModelMove? move) => move is null
        ? "never"
        : string.Create(
            CultureInfo.InvariantCulture,
            $"{move.Milliseconds:F0} ms ({move.DeviceBytes / 1e9:F1} GB, {move.CopiedBytes / 1e9:F1} GB copied, "
            + $"{move.CopiedBytes / 1e6 / Math.Max(move.Milliseconds, 1e-3):F1} GB/s)");

    private static async Task<string> GenerateAsync(Inference.InferenceClient client, string model)
    {
        using var call = client.Generate(new GenerateRequest
        {
            Model = model,
            PromptIds = new TokenIds { Ids = { 1, 2, 3, 4, 5, 6, 7, 8 } },
            MaxNewTokens = Tokens,
            IgnoreEos = true,
        });
        var ids = new List<int>();
        while (await call.ResponseStream.MoveNext(CancellationToken.None))
        {
            if (call.ResponseStream.Current.Token is { } token)
            {
                ids.Add(token.Id);
            }
        }

        return string.Join(',', ids);
    }
}
