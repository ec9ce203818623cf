using System.Runtime.InteropServices;

namespace TensorParallel.Worker.Native;

/// <summary>What a worker process needs of the kernel and .NET does not offer.</summary>
internal static partial class Libc
{
    internal const int PR_SET_PDEATHSIG = 1;
    internal const int SIGKILL = 9;
    internal const int RUSAGE_SELF = 0;

    /// <summary>Words of struct rusage on 64-bit Linux: two timevals and fourteen longs.</summary>
    internal const int RusageWords = 18;

    /// <summary>Index of ru_maxrss, in kilobytes, among the words.</summary>
    internal const int RusageMaxResident = 4;

    [LibraryImport("libc")]
    internal static partial void _exit(int status);

    [LibraryImport("libc", SetLastError = true)]
    internal static partial int prctl(int option, nuint arg2, nuint arg3, nuint arg4, nuint arg5);

    [LibraryImport("libc")]
    internal static partial int getppid();

    /// <summary>Gives free memory of the C heap back to the system; 1 where there was some.</summary>
    [LibraryImport("libc")]
    internal static partial int malloc_trim(nuint keep);

    [LibraryImport("libc")]
    internal static unsafe partial int getrusage(int who, nint* usage);
}
