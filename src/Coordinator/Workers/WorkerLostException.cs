namespace TensorParallel.Coordinator.Workers;

/// <summary>
/// A worker ended, failed or stopped answering; the message names its rank, device and process and the cause.
/// </summary>
/// <param name="rank">The rank that was lost first.</param>
/// <param name="message">One sentence, with the worker's last error lines where there are any.</param>
internal sealed class WorkerLostException(int rank, string message) : Exception(message)
{
    /// <summary>The rank that was lost first.</summary>
    public int Rank { get; } = rank;
}
