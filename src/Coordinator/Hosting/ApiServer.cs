using System.Net.Sockets;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using TensorParallel.Coordinator.Api;
using TensorParallel.Coordinator.Engine;

namespace TensorParallel.Coordinator.Hosting;

/// <summary>
/// The listeners: the public ones, and where it is wanted the admin service, a server of its own so that nothing of it is reached by the
/// public address. Disposing it ends open calls.
/// </summary>
internal sealed class ApiServer : IAsyncDisposable
{
    private readonly WebApplication _public;
    private readonly WebApplication? _admin;

    private ApiServer(WebApplication application, WebApplication? admin)
    {
        _public = application;
        _admin = admin;
    }

    /// <summary>Addresses that are listened on, gRPC first, for example <c>http://127.0.0.1:50051</c>.</summary>
    public IReadOnlyList<string> Addresses => [.. _public.Urls];

    /// <summary>Address of the admin service; null: it is not served.</summary>
    public string? AdminAddress => _admin?.Urls.First();

    /// <summary>Starts listening; health says NOT_SERVING until an engine is ready.</summary>
    /// <param name="models">What is served.</param>
    /// <param name="administration">What the admin service does.</param>
    /// <param name="listen">Where.</param>
    /// <param name="logLevel">What is logged.</param>
    /// <param name="cancellationToken">Ends the start.</param>
    /// <exception cref="IOException">A port is taken, or the address is not this machine's; the message says which and what to do.</exception>
    public static async Task<ApiServer> StartAsync(
        ServedModels models,
        IModelAdministration administration,
        ApiListenOptions listen,
        LogLevel logLevel,
        CancellationToken cancellationToken)
    {
        var builder = CreateBuilder(logLevel);
        builder.Services.AddInferenceApi(models);
        builder.WebHost.ConfigureKestrel(server => ApiListeners.Configure(server, listen));
        var application = builder.Build();
        application.MapInferenceApi();
        await StartAsync(
            application,
            $"{listen.Address} with the ports {listen.GrpcPort} and {listen.HttpPort}",
            $"--port (gRPC, now {listen.GrpcPort}) and --http-port (now {listen.HttpPort})",
            cancellationToken);
        try
        {
            return new ApiServer(application, await StartAdminAsync(administration, listen, logLevel, cancellationToken));
        }
        catch
        {
            await application.DisposeAsync();
            throw;
        }
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        foreach (var application in (WebApplication?[])[_admin, _public])
        {
            if (application is not null)
            {
                using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(5));
                await application.StopAsync(limit.Token);
                await application.DisposeAsync();
            }
        }
    }

    private static async Task<WebApplication?> StartAdminAsync(
        IModelAdministration administration, ApiListenOptions listen, LogLevel logLevel, CancellationToken cancellationToken)
    {
        if (listen.AdminPort is not { } port)
        {
            return null;
        }

        var builder = CreateBuilder(logLevel);
        builder.Services.AddAdminApi(administration);
        builder.WebHost.ConfigureKestrel((KestrelServerOptions server) => ApiListeners.ConfigureAdmin(server, port));
        var application = builder.Build();
        application.MapAdminApi();
        await StartAsync(application, $"127.0.0.1 with the port {port}", $"--admin-port (now {port})", cancellationToken);
        return application;
    }

    private static WebApplicationBuilder CreateBuilder(LogLevel logLevel)
    {
        // No settings files and no environment: what is served where is said on the command line alone.
        var builder = WebApplication.CreateSlimBuilder(new WebApplicationOptions { ContentRootPath = AppContext.BaseDirectory });
        builder.Configuration.Sources.Clear();
        CoordinatorLogging.Configure(builder.Logging, logLevel);
        // A start that fails is an exception below; the host would log it as well, with its stack.
        builder.Logging.AddFilter("Microsoft.Extensions.Hosting.Internal.Host", LogLevel.None);
        builder.Services.AddSingleton<IHostLifetime, CommandLifetime>();
        return builder;
    }

    private static async Task StartAsync(
        WebApplication application, string place, string options, CancellationToken cancellationToken)
    {
        try
        {
            await application.StartAsync(cancellationToken);
        }
        catch (SocketException exception)
        {
            await application.DisposeAsync();
            throw new IOException(
                $"{place} cannot be listened on ({exception.Message}): choose others with --host, --port, --http-port and --admin-port.",
                exception);
        }
        catch (IOException exception) when (exception.InnerException is AddressInUseException)
        {
            await application.DisposeAsync();
            throw new IOException(
                $"A port is taken ({exception.InnerException.Message}): choose others with {options}; 0 takes any free one.", exception);
        }
    }
}
