namespace TensorParallel.Protocol.Wire;

/// <summary>
/// Environment variables by which a launcher tells a worker what its arguments must not, or need not, say.
/// </summary>
public static class WorkerEnvironment
{
    /// <summary>The secret of the group. Not an argument: those are readable by every user of the machine.</summary>
    public const string Secret = "TENSOR_PARALLEL_SECRET";

    /// <summary>The device that the load command will name, for example <c>cuda:1</c>: the worker begins to open it at once.</summary>
    public const string Device = "TENSOR_PARALLEL_DEVICE";

    /// <summary>Process id of the launcher; set, the worker ends with the thread that started it.</summary>
    public const string Parent = "TENSOR_PARALLEL_PARENT";
}
