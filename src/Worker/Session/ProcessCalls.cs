using System.Runtime.InteropServices;
using TensorParallel.Worker.Native;

namespace TensorParallel.Worker.Session;

/// <summary>This process as the kernel sees it.</summary>
internal static class ProcessCalls
{
    /// <summary>
    /// Asks the kernel to kill this process when the thread that started it ends. Returns false when that is too late:
    /// the parent is no longer <paramref name="parentProcessId"/>.
    /// </summary>
    public static bool DieWithParent(int parentProcessId)
    {
        if (Libc.prctl(Libc.PR_SET_PDEATHSIG, Libc.SIGKILL, 0, 0, 0) != 0)
        {
            throw new InvalidOperationException(
                $"prctl(PR_SET_PDEATHSIG) failed with error {Marshal.GetLastPInvokeError()}.");
        }

        return Libc.getppid() == parentProcessId;
    }

    /// <summary>
    /// Most memory this process has had resident. One system call, about a microsecond: made in every step.
    /// </summary>
    public static unsafe long PeakResidentBytes()
    {
        var usage = stackalloc nint[Libc.RusageWords];
        return Libc.getrusage(Libc.RUSAGE_SELF, usage) == 0 ? usage[Libc.RusageMaxResident] * 1024 : 0;
    }

    /// <summary>Memory this process has resident now.</summary>
    public static long ResidentBytes()
    {
        // "size resident shared …" in pages.
        var words = File.ReadAllText("/proc/self/statm").Split(' ');
        return long.Parse(words[1], System.Globalization.CultureInfo.InvariantCulture) * Environment.SystemPageSize;
    }

    /// <summary>
    /// Collects garbage, gives free memory back to the system, and counts <see cref="PeakResidentBytes"/> anew where the kernel lets it:
    /// some sandboxes do not, and there the peak stays that of the process's life.
    /// </summary>
    public static void Flush()
    {
        GC.Collect(GC.MaxGeneration, GCCollectionMode.Aggressive, blocking: true, compacting: true);
        _ = Libc.malloc_trim(0);
        try
        {
            File.WriteAllText("/proc/self/clear_refs", "5");
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            // See above.
        }
    }

    /// <summary>
    /// Ends the process now. No handler and no finaliser runs: a compute thread may be anywhere, and shutting the
    /// runtime down in good order could wait for it.
    /// </summary>
    public static void ExitNow(int code) => Libc._exit(code);
}
