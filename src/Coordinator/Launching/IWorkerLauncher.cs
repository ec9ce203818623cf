namespace TensorParallel.Coordinator.Launching;

/// <summary>A way to start worker processes.</summary>
internal interface IWorkerLauncher
{
    /// <summary>
    /// Starts one worker; returns once the process exists. Throws <see cref="WorkerLaunchException"/>.
    /// </summary>
    IWorkerProcess Start(WorkerLaunch launch);
}
