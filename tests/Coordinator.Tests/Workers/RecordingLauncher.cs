using TensorParallel.Coordinator.Launching;

namespace TensorParallel.Coordinator.Tests.Workers;

/// <summary>Remembers the processes that another launcher starts.</summary>
internal sealed class RecordingLauncher(LocalLauncher launcher) : IWorkerLauncher, IDisposable
{
    public List<IWorkerProcess> Started { get; } = [];

    public IWorkerProcess Start(WorkerLaunch launch)
    {
        Started.Add(launcher.Start(launch));
        return Started[^1];
    }

    public void Dispose() => launcher.Dispose();
}
