namespace TensorParallel.Coordinator.Launching;

/// <summary>
/// A started worker process. Disposing it kills what is left of it and waits until it is gone. Thread-safe.
/// </summary>
internal interface IWorkerProcess : IAsyncDisposable
{
    /// <summary>The operating system's id.</summary>
    int ProcessId { get; }

    /// <summary>Completes, never faults, when the process has ended and its last output has been read.</summary>
    Task<ProcessExit> Exited { get; }

    /// <summary>The last lines it wrote to its error output, oldest first.</summary>
    IReadOnlyList<string> LastErrorLines();

    /// <summary>Ends it and its children at once; does nothing when it has ended.</summary>
    void Kill();
}
