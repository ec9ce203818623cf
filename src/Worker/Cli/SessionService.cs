using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using TensorParallel.Worker.Session;

namespace TensorParallel.Worker.Cli;

/// <summary>Runs the one session of this process and stops the host after it.</summary>
internal sealed class SessionService(
    WorkerAddress address,
    WorkerIdentity identity,
    IRankModelLoader loader,
    IHostApplicationLifetime lifetime,
    ILogger<WorkerSession> logger,
    StartTimeline timeline) : BackgroundService
{
    /// <summary>The process's exit code, once the host has stopped.</summary>
    public int ExitCode { get; private set; } = 1;

    /// <inheritdoc/>
    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var link = CoordinatorLink.Dial(address);
        switch (await new WorkerSession(link, identity, loader, logger, timeline).RunAsync())
        {
            case SessionEnd.Stopped:
                ExitCode = 0;
                lifetime.StopApplication();
                break;
            case SessionEnd.Failed:
            case SessionEnd.CoordinatorLost:
                // The compute thread may be anywhere, in a collective that never ends for one: nothing may wait for it.
                ProcessCalls.ExitNow(1);
                break;
        }
    }
}
