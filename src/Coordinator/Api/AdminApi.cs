using TensorParallel.Coordinator.Api.Grpc;

namespace TensorParallel.Coordinator.Api;

/// <summary>The admin interface as one piece for the composition root.</summary>
internal static class AdminApi
{
    /// <summary>Registers the service.</summary>
    public static IServiceCollection AddAdminApi(this IServiceCollection services, IModelAdministration models)
    {
        services.AddSingleton(models);
        services.AddSingleton<AdminService>();
        services.AddGrpc(grpc => grpc.Interceptors.Add<StatusInterceptor>());
        services.AddGrpcReflection();
        return services;
    }

    /// <summary>Maps it, with reflection.</summary>
    public static void MapAdminApi(this IEndpointRouteBuilder endpoints)
    {
        endpoints.MapGrpcService<AdminService>();
        endpoints.MapGrpcReflectionService();
    }
}
