namespace TensorParallel.Worker.Session;

/// <summary>How a session ended.</summary>
internal enum SessionEnd
{
    /// <summary>The coordinator said stop, and all steps before it are answered.</summary>
    Stopped,

    /// <summary>Loading, a step or a command failed; the coordinator was told.</summary>
    Failed,

    /// <summary>The stream ended without a stop: the coordinator is gone or has refused this worker.</summary>
    CoordinatorLost,
}
