namespace TensorParallel.Coordinator.Cli;

/// <summary>What the process tells its caller.</summary>
internal static class ExitCodes
{
    /// <summary>Everything was done.</summary>
    public const int Done = 0;

    /// <summary>
    /// The command was right, but the run failed (a worker was lost, memory ran out, …) or was interrupted.
    /// </summary>
    public const int RunFailed = 1;

    /// <summary>The command line, the model folder or the plan is wrong; nothing was started.</summary>
    public const int BadInput = 2;
}
