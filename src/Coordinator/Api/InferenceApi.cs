using TensorParallel.Coordinator.Api.Grpc;
using TensorParallel.Coordinator.Engine;

namespace TensorParallel.Coordinator.Api;

/// <summary>The public interfaces as one piece for the composition root.</summary>
internal static class InferenceApi
{
    /// <summary>Registers the services; the model's engine stays the caller's to start and to dispose.</summary>
    public static IServiceCollection AddInferenceApi(this IServiceCollection services, ServedModel model)
    {
        services.AddSingleton(model);
        services.AddSingleton<InferenceService>();
        services.AddGrpc(grpc => grpc.Interceptors.Add<StatusInterceptor>());
        services.AddGrpcReflection();
        services.AddGrpcHealthChecks(health =>
        {
            health.Services.Clear();
            foreach (var name in HealthNotifier.ServiceNames)
            {
                health.Services.Map(name, _ => true);
            }
        }).AddCheck<EngineHealthCheck>("engine");
        services.AddHostedService<HealthNotifier>();

        // It reports a server that is still starting as an error; the engine itself logs what is one.
        services.AddLogging(logging => logging.AddFilter("Microsoft.Extensions.Diagnostics.HealthChecks", LogLevel.None));
        return services;
    }

    /// <summary>Maps gRPC, health, reflection and the page for people.</summary>
    public static void MapInferenceApi(this IEndpointRouteBuilder endpoints)
    {
        endpoints.MapGrpcService<InferenceService>();
        endpoints.MapGrpcHealthChecksService();
        endpoints.MapGrpcReflectionService();
        endpoints.MapGet("/", (HttpContext http, ServedModel model) => HomePage.Text(model, $"{http.Request.Host}"));
        endpoints.MapGet("/health", (ServedModel model) => Health(model.Engine.State));
    }

    private static IResult Health(EngineState state) => Results.Text(
        $"{state}\n",
        statusCode: state == EngineState.Ready ? StatusCodes.Status200OK : StatusCodes.Status503ServiceUnavailable);
}
