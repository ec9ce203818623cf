namespace TensorParallel.Coordinator.Launching;

/// <summary>How a process ended.</summary>
/// <param name="Code">Exit code; 128 + n after signal n, as shells and .NET count.</param>
internal readonly record struct ProcessExit(int Code)
{
    private const int SignalBase = 128;

    private static readonly Dictionary<int, string> s_signals = new()
    {
        [1] = "SIGHUP",
        [2] = "SIGINT",
        [3] = "SIGQUIT",
        [4] = "SIGILL",
        [6] = "SIGABRT",
        [7] = "SIGBUS",
        [8] = "SIGFPE",
        [9] = "SIGKILL",
        [11] = "SIGSEGV",
        [13] = "SIGPIPE",
        [15] = "SIGTERM",
    };

    /// <summary>
    /// In words, as the end of "the worker …"; example for 137: "was killed by SIGKILL (out of memory, or by hand)".
    /// </summary>
    public string Words
    {
        get
        {
            if (!s_signals.TryGetValue(Code - SignalBase, out var signal))
            {
                return $"ended with exit code {Code}";
            }

            // Nothing else sends these two to a worker, and the name alone tells few people what happened.
            var hint = signal switch
            {
                "SIGKILL" => " (by hand, or by the kernel for want of memory)",
                "SIGBUS" => " (a file was cut while it was read, or shared memory is full)",
                _ => "",
            };
            return $"was killed by {signal}{hint}";
        }
    }
}
