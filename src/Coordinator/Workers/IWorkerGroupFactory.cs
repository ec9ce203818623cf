namespace TensorParallel.Coordinator.Workers;

/// <summary>Starts worker groups; the engine asks again after a group was lost. Thread-safe.</summary>
internal interface IWorkerGroupFactory
{
    /// <summary>
    /// Starts one process a rank, loads the weights and joins the ranks. Throws <see cref="WorkerLostException"/> when
    /// a rank ends, fails or does not answer in time; no process is left then.
    /// </summary>
    Task<IWorkerGroup> StartAsync(CancellationToken cancellationToken);
}
