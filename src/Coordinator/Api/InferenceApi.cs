using TensorParallel.Coordinator.Api.Grpc;
using TensorParallel.Coordinator.Engine;

namespace TensorParallel.Coordinator.Api;

/// <summary>The public interfaces as one piece for the composition root.</summary>
internal static class InferenceApi
{
    /// <summary>Registers the services; the models' engines stay the caller's to start and to dispose.</summary>
    public static IServiceCollection AddInferenceApi(this IServiceCollection services, ServedModels models)
    {
        services.AddSingleton(models);
        services.AddSingleton<InferenceService>();
        services.AddGrpc(grpc => grpc.Interceptors.Add<StatusInterceptor>());
        services.AddGrpcReflection();

        // Not the framework's checks, which know a fixed list of names: the notifier's word is what is told.
        services.AddGrpcHealthChecks(health =>
        {
            health.Services.Clear();
            health.UseHealthChecksCache = true;
        });
        services.AddHostedService<HealthNotifier>();
        return services;
    }

    /// <summary>Maps gRPC, health, reflection and the page for people.</summary>
    public static void MapInferenceApi(this IEndpointRouteBuilder endpoints)
    {
        endpoints.MapGrpcService<InferenceService>();
        endpoints.MapGrpcHealthChecksService();
        endpoints.MapGrpcReflectionService();
        endpoints.MapGet("/", (HttpContext http, ServedModels models) => HomePage.Text(models, $"{http.Request.Host}"));
        endpoints.MapGet("/health", (ServedModels models) => Health(models.All, StatusCodes.Status503ServiceUnavailable));
        endpoints.MapGet("/health/{**model}", (string model, ServedModels models) =>
            Health([.. models.All.Where(served => served.Info.Name == model)], StatusCodes.Status404NotFound));
    }

    // One model: its state alone. Several: a line each; the server is healthy while any of them is.
    private static IResult Health(IReadOnlyList<ServedModel> models, int none) => Results.Text(
        models.Count switch
        {
            0 => "no model\n",
            1 => $"{models[0].Engine.State}\n",
            _ => string.Concat(models.Select(model => $"{model.Info.Name}: {model.Engine.State}\n")),
        },
        statusCode: models.Count == 0 ? none
            : models.Any(model => model.Engine.State == EngineState.Ready) ? StatusCodes.Status200OK
            : StatusCodes.Status503ServiceUnavailable);
}
