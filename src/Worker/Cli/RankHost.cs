using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using TensorParallel.Worker.Session;

namespace TensorParallel.Worker.Cli;

/// <summary>The process of one rank: composition root, logging, and the ways it ends.</summary>
internal static class RankHost
{
    /// <summary>
    /// Runs the session to its end and returns the exit code; does not return when the coordinator is lost.
    /// </summary>
    /// <param name="address">Where the coordinator listens.</param>
    /// <param name="identity">Rank and secret.</param>
    /// <param name="parentProcessId">Process to die with; null: only the stream counts.</param>
    /// <param name="loader">Loads the rank's model.</param>
    public static async Task<int> RunAsync(
        WorkerAddress address, WorkerIdentity identity, int? parentProcessId, IRankModelLoader loader)
    {
        if (parentProcessId is { } parent && !ProcessCalls.DieWithParent(parent))
        {
            await Console.Error.WriteLineAsync(
                $"worker: the coordinator (process {parent}) ended before rank {identity.Rank} ran.");
            return 1;
        }

        var builder = Host.CreateEmptyApplicationBuilder(new HostApplicationBuilderSettings());
        builder.Logging.SetMinimumLevel(LogLevel.Trace); // the coordinator chooses what it shows
        builder.Logging.AddProvider(new RankLoggerProvider(identity.Rank, Console.Error));
        builder.Services.AddSingleton<IHostLifetime, CoordinatedLifetime>();
        builder.Services.AddSingleton(address);
        builder.Services.AddSingleton(identity);
        builder.Services.AddSingleton(loader);
        builder.Services.AddSingleton<SessionService>();
        builder.Services.AddSingleton<StartTimeline>();
        builder.Services.AddHostedService(services => services.GetRequiredService<SessionService>());
        using var host = builder.Build();
        EarlyDevice.Wake(
            host.Services.GetRequiredService<StartTimeline>(),
            host.Services.GetRequiredService<ILoggerFactory>().CreateLogger(nameof(EarlyDevice)));
        var session = host.Services.GetRequiredService<SessionService>();
        await host.RunAsync(); // disposes the services
        return session.ExitCode;
    }
}
