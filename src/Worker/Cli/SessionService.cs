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
    ILogger<WorkerSession> logger) : BackgroundService
{
    /// <summary>The process's exit code, once the host has stopped.</summary>
    public int ExitCode { get; private set; } = 1;

    /// <inheritdoc/>
    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        await using var link = CoordinatorLink.Dial(address);
        switch (await new WorkerSession(link, identity, loader, logger).RunAsync())
        {
            case SessionEnd.Stopped:
                ExitCode = 0;
                lifetime.StopApplication();
                break;
            case SessionEnd.Failed:
                // Peers that fail in turn, or a compute thread that is still busy, must not delay the news.
                ProcessCalls.ExitNow(1);
                break;
            case SessionEnd.CoordinatorLost:
                RemoveSocket();
                ProcessCalls.ExitNow(1);
                break;
        }
    }

    /// <summary>
    /// A coordinator killed with SIGKILL leaves its socket and the folder it stands in; the group's workers are the only ones
    /// left who know the path. The folder goes only when it is empty.
    /// </summary>
    private void RemoveSocket()
    {
        try
        {
            File.Delete(address.SocketPath);
            Directory.Delete(Path.GetDirectoryName(address.SocketPath)!);
        }
        catch (IOException)
        {
            // Another rank was faster, or the folder holds something else.
        }
        catch (UnauthorizedAccessException)
        {
            // The socket stands in somebody else's folder: theirs to clean.
        }
    }
}
