namespace TensorParallel.Coordinator.Engine;

/// <summary>What the engine is doing; only <see cref="Ready"/> is healthy.</summary>
internal enum EngineState
{
    /// <summary>Not started, or the first worker group is loading; requests wait.</summary>
    Starting,

    /// <summary>Steps are running or can run.</summary>
    Ready,

    /// <summary>The group was lost and is started again; requests wait.</summary>
    Restarting,

    /// <summary>Accepted requests are finished, new ones are refused.</summary>
    Draining,

    /// <summary>The workers could not be started (again); every request is refused.</summary>
    Failed,

    /// <summary>Disposed.</summary>
    Stopped,
}
