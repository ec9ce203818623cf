using Grpc.Net.Client;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using TensorParallel.Coordinator.Api;
using TensorParallel.Coordinator.Engine;
using TensorParallel.Coordinator.Planning;
using TensorParallel.Coordinator.Tests.Engine;
using TensorParallel.Coordinator.Text;
using TensorParallel.Protocol.Architectures;
using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Protocol.Generation;
using TensorParallel.TestKit;
using Wire = TensorParallel.Protocol.Wire.Inference;

namespace TensorParallel.Coordinator.Tests.Api;

/// <summary>The public interfaces on free loopback ports, over an engine with fake workers, and a client.</summary>
internal sealed class ApiFixture : IAsyncDisposable
{
    private static readonly Tokenizer s_tokenizer = Tokenizer.Load(RepositoryPaths.DemoModel);

    private static readonly ModelSpec s_spec =
        ArchitectureCatalog.Describe(ModelConfig.Load(Path.Combine(RepositoryPaths.DemoModel, "config.json")));

    private readonly WebApplication _application;

    private ApiFixture(EngineFixture engine, bool hasTokenizer, IReadOnlyList<int> eosTokenIds, StepLimits limits)
    {
        Engine = engine;
        var tokenizer = hasTokenizer ? s_tokenizer : null;
        var plan = Planner.Plan(new PlanRequest(s_spec, PlanDevice.Cpus(2), DType.F32)) with { Limits = limits };
        Model = new ServedModel(
            new ModelInfo("primer", s_spec, plan, eosTokenIds),
            engine.Engine,
            new GenerateRequestFactory(tokenizer, s_spec.VocabularySize, limits.MaxContextTokens, eosTokenIds),
            tokenizer);
        Models = new ServedModels(Model);
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.WebHost.UseKestrelCore().ConfigureKestrel(
            server => ApiListeners.Configure(server, new ApiListenOptions { GrpcPort = 0, HttpPort = 0 }));
        builder.Services.AddRoutingCore();
        builder.Services.AddLogging(logging => logging.ClearProviders());
        builder.Services.AddInferenceApi(Models);
        _application = builder.Build();
        _application.MapInferenceApi();
    }

    public EngineFixture Engine { get; }

    public ServedModel Model { get; }

    public ServedModels Models { get; }

    public GrpcChannel Channel { get; private set; } = null!;

    public Wire.Inference.InferenceClient Client { get; private set; } = null!;

    /// <summary>Host and port that speak gRPC.</summary>
    public string GrpcAddress => Addresses[0];

    public Uri HttpAddress => new(Addresses[1]);

    private List<string> Addresses =>
        [.. _application.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses];

    /// <summary>A server whose engine is started, unless a test wants to see it starting.</summary>
    public static async Task<ApiFixture> StartAsync(
        Func<int, FakeWorkerGroup>? make = null,
        bool hasTokenizer = true,
        EngineOptions? options = null,
        StepLimits? limits = null,
        bool startEngine = true)
    {
        var sizes = limits ?? EngineFixture.Limits;
        var engine = new EngineFixture(
            make ?? (_ => new FakeWorkerGroup(sizes, _ => Task.CompletedTask)),
            options,
            tokenizer: hasTokenizer ? s_tokenizer : null);
        var fixture = new ApiFixture(engine, hasTokenizer, [90], sizes);
        await fixture._application.StartAsync();
        if (startEngine)
        {
            await engine.Engine.StartAsync(CancellationToken.None);
        }

        fixture.Channel = GrpcChannel.ForAddress(fixture.GrpcAddress);
        fixture.Client = new Wire.Inference.InferenceClient(fixture.Channel);
        return fixture;
    }

    public static Wire.GenerateRequest Request(int maxNewTokens, params int[] promptIds) => new()
    {
        PromptIds = new Wire.TokenIds { Ids = { promptIds } },
        MaxNewTokens = maxNewTokens,
        Seed = 3,
        IgnoreEos = true,
    };

    public async ValueTask DisposeAsync()
    {
        Channel.Dispose();
        await Engine.DisposeAsync();
        await _application.DisposeAsync();
    }
}
