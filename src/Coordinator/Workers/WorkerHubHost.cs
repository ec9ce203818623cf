using Microsoft.AspNetCore.Server.Kestrel.Core;

namespace TensorParallel.Coordinator.Workers;

/// <summary>
/// The workers' way in: a server of its own, apart from the public one, that listens on a unix socket in a private
/// folder and nowhere else, and takes no configuration. One a group, so that a restarted group shares nothing with the
/// lost one.
/// </summary>
internal sealed class WorkerHubHost : IAsyncDisposable
{
    // A plan of a large model over 8 ranks is about 1 MB of JSON; gRPC's default of 4 MB would be near.
    private const int MaxMessageBytes = 64 << 20;

    private readonly WebApplication _application;
    private readonly SocketFolder _folder;

    private WorkerHubHost(WebApplication application, SocketFolder folder)
    {
        _application = application;
        _folder = folder;
    }

    /// <summary>What workers are told to connect to.</summary>
    public string Address => $"unix:{_folder.SocketPath}";

    /// <summary>Starts listening.</summary>
    public static async Task<WorkerHubHost> StartAsync(HubAdmission admission, ILoggerFactory loggers)
    {
        var folder = new SocketFolder(Path.GetTempPath());
        try
        {
            var application = Build(admission, loggers, folder.SocketPath);
            await application.StartAsync();
            return new WorkerHubHost(application, folder);
        }
        catch
        {
            folder.Dispose();
            throw;
        }
    }

    /// <summary>
    /// Removes the socket's path; the streams that exist live on. Called when every rank is in: then nobody can join
    /// any more, and a coordinator that is killed leaves no file behind.
    /// </summary>
    public void CloseDoor() => _folder.Dispose();

    /// <summary>Ends all streams, stops listening, removes the socket.</summary>
    public async ValueTask DisposeAsync()
    {
        await _application.StopAsync();
        await _application.DisposeAsync();
        _folder.Dispose();
    }

    private static WebApplication Build(HubAdmission admission, ILoggerFactory loggers, string socketPath)
    {
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.WebHost.UseKestrelCore().ConfigureKestrel(server =>
        {
            server.ListenUnixSocket(socketPath, listen => listen.Protocols = HttpProtocols.Http2);
            server.AddServerHeader = false;
            // Streams live as long as the group and are silent while it is idle.
            server.Limits.MinRequestBodyDataRate = null;
            server.Limits.MinResponseDataRate = null;
            server.Limits.MaxRequestBodySize = null;
        });
        builder.Services.AddSingleton<ILoggerFactory>(new WarningsOnly(loggers));
        builder.Services.AddSingleton<IHostLifetime, UnattendedLifetime>();
        builder.Services.Configure<HostOptions>(host => host.ShutdownTimeout = TimeSpan.FromSeconds(1));
        builder.Services.AddRoutingCore();
        builder.Services.AddGrpc(grpc =>
        {
            grpc.MaxReceiveMessageSize = MaxMessageBytes;
            grpc.MaxSendMessageSize = MaxMessageBytes;
        });
        builder.Services.AddSingleton(admission);
        builder.Services.AddSingleton<WorkerHubService>();
        var application = builder.Build();
        application.MapGrpcService<WorkerHubService>();
        return application;
    }

    /// <summary>
    /// Heeds no signal: Ctrl-C is the coordinator's, which needs the streams to finish what is running.
    /// </summary>
    private sealed class UnattendedLifetime : IHostLifetime
    {
        public Task WaitForStartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

        public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
    }
}
