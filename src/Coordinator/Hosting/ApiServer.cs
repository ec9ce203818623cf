using System.Net.Sockets;
using Microsoft.AspNetCore.Connections;
using TensorParallel.Coordinator.Api;
using TensorParallel.Coordinator.Engine;

namespace TensorParallel.Coordinator.Hosting;

/// <summary>The public listeners of one served model. Disposing it ends open calls.</summary>
internal sealed class ApiServer : IAsyncDisposable
{
    private readonly WebApplication _application;

    private ApiServer(WebApplication application)
    {
        _application = application;
    }

    /// <summary>Addresses that are listened on, gRPC first, for example <c>http://127.0.0.1:50051</c>.</summary>
    public IReadOnlyList<string> Addresses => [.. _application.Urls];

    /// <summary>Starts listening; health says NOT_SERVING until the engine is ready.</summary>
    /// <exception cref="IOException">A port is taken, or the address is not this machine's; the message says which and what to do.</exception>
    public static async Task<ApiServer> StartAsync(
        ServedModel model, ApiListenOptions listen, LogLevel logLevel, CancellationToken cancellationToken)
    {
        // No settings files and no environment: what is served where is said on the command line alone.
        var builder = WebApplication.CreateSlimBuilder(new WebApplicationOptions { ContentRootPath = AppContext.BaseDirectory });
        builder.Configuration.Sources.Clear();
        CoordinatorLogging.Configure(builder.Logging, logLevel);
        // A start that fails is an exception below; the host would log it as well, with its stack.
        builder.Logging.AddFilter("Microsoft.Extensions.Hosting.Internal.Host", LogLevel.None);
        builder.Services.AddSingleton<IHostLifetime, CommandLifetime>();
        builder.Services.AddInferenceApi(model);
        builder.WebHost.ConfigureKestrel(server => ApiListeners.Configure(server, listen));
        var application = builder.Build();
        application.MapInferenceApi();
        try
        {
            await application.StartAsync(cancellationToken);
            return new ApiServer(application);
        }
        catch (SocketException exception)
        {
            await application.DisposeAsync();
            throw new IOException(
                $"{listen.Address} with the ports {listen.GrpcPort} and {listen.HttpPort} cannot be listened on ({exception.Message}): "
                + "choose others with --host, --port and --http-port.", exception);
        }
        catch (IOException exception) when (exception.InnerException is AddressInUseException)
        {
            await application.DisposeAsync();
            throw new IOException(
                $"A port is taken ({exception.InnerException.Message}): choose others with --port (gRPC, now {listen.GrpcPort}) and "
                + $"--http-port (now {listen.HttpPort}); 0 takes any free one.", exception);
        }
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(5));
        await _application.StopAsync(limit.Token);
        await _application.DisposeAsync();
    }
}
