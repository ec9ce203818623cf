using System.ComponentModel;
using TensorParallel.Protocol.Wire;

namespace TensorParallel.Coordinator.Launching;

/// <summary>
/// Starts workers on this machine. They inherit the environment unchanged (NCCL_*, CUDA_*, …) and end with this
/// launcher, whatever ends it. Thread-safe.
/// </summary>
internal sealed class LocalLauncher(WorkerProgram program, ILoggerFactory loggers) : IWorkerLauncher, IDisposable
{
    private readonly StarterThread _starter = new();

    /// <inheritdoc/>
    public IWorkerProcess Start(WorkerLaunch launch)
    {
        var start = program.ToStartInfo("run", "--connect", launch.Address, "--rank", $"{launch.Rank}");
        start.Environment[WorkerEnvironment.Secret] = launch.Secret;
        start.Environment[WorkerEnvironment.Device] = launch.Device;
        start.Environment[WorkerEnvironment.Parent] = $"{Environment.ProcessId}";
        try
        {
            var logger = loggers.CreateLogger($"{nameof(TensorParallel)}.Worker.{launch.Rank}");
            return new WorkerProcess(_starter.Start(start), launch.Rank, logger);
        }
        catch (Win32Exception exception)
        {
            throw new WorkerLaunchException(
                $"The worker of rank {launch.Rank} cannot be started ({program.Path}): "
                + $"{exception.Message}.");
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _starter.Dispose();
}
