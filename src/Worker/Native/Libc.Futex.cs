using System.Runtime.InteropServices;

namespace TensorParallel.Worker.Native;

/// <summary>Futexes on memory that several processes map: the waits of the shared-memory collectives.</summary>
internal static partial class Libc
{
    internal const int FUTEX_WAIT = 0;
    internal const int FUTEX_WAKE = 1;
    internal const int EINTR = 4;
    internal const int EAGAIN = 11;
    internal const int ETIMEDOUT = 110;

    /// <summary>Number of the futex system call; it has no wrapper in libc.</summary>
    internal static nint SYS_futex { get; } = RuntimeInformation.ProcessArchitecture switch
    {
        Architecture.X64 => 202,
        Architecture.Arm64 or Architecture.RiscV64 or Architecture.LoongArch64 => 98,
        var other => throw new PlatformNotSupportedException(
            $"Shared-memory collectives know no futex system call for {other}; run the workers on x64 or arm64 Linux."),
    };

    /// <summary>futex(2) without FUTEX_PRIVATE_FLAG, so that waiter and waker may be different processes.</summary>
    [LibraryImport("libc", EntryPoint = "syscall", SetLastError = true)]
    internal static unsafe partial nint futex(
        nint number, uint* address, nint operation, nint value, timespec64* timeout, nint address2, nint value3);

    /// <summary>struct timespec of 64-bit Linux.</summary>
    [StructLayout(LayoutKind.Sequential)]
    internal struct timespec64
    {
        internal long tv_sec;
        internal long tv_nsec;
    }
}
