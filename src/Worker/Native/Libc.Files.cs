using System.Runtime.InteropServices;

namespace TensorParallel.Worker.Native;

/// <summary>
/// What shared-memory segments need of files and .NET does not offer: real allocation, and locks that die with their
/// owner.
/// </summary>
internal static partial class Libc
{
    internal const int F_OFD_GETLK = 36;
    internal const int F_OFD_SETLK = 37;
    internal const short F_WRLCK = 1;
    internal const short F_UNLCK = 2;

    /// <summary>Allocates the bytes of a file now; returns an errno (0 is success), for example 28, ENOSPC.</summary>
    [LibraryImport("libc")]
    internal static partial int posix_fallocate(SafeHandle fd, long offset, long length);

    /// <summary>
    /// fcntl(2) with a lock argument: locks of an open file description, released by the kernel when it is closed.
    /// </summary>
    [LibraryImport("libc", SetLastError = true)]
    internal static unsafe partial int fcntl(SafeHandle fd, int command, flock64* argument);

    /// <summary>struct flock of 64-bit Linux.</summary>
    [StructLayout(LayoutKind.Sequential)]
    internal struct flock64
    {
        internal short l_type;
        internal short l_whence;
        internal long l_start;
        internal long l_len;
        internal int l_pid;
    }
}
