using System.Runtime.InteropServices;

namespace TensorParallel.Worker.Native;

/// <summary>Which file it is, and whether it has changed: .NET tells neither device nor inode.</summary>
internal static partial class Libc
{
    internal const int AT_FDCWD = -100;
    internal const int AT_EMPTY_PATH = 0x1000;
    internal const int O_RDONLY = 0;
    internal const int O_CLOEXEC = 0x80000;
    internal const int ENOENT = 2;

    /// <summary>STATX_BASIC_STATS: inode, size and times among them.</summary>
    internal const uint STATX_BASIC_STATS = 0x7ff;

    /// <summary>statx(2): the same structure on every processor. 0, or −1 with the error in errno.</summary>
    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    internal static unsafe partial int statx(int folder, string path, int flags, uint mask, statx_t* result);

    /// <summary>open(2) without a mode: of a folder, to write its entries to the disk.</summary>
    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    internal static partial int open(string path, int flags);

    [LibraryImport("libc", SetLastError = true)]
    internal static partial int fsync(int descriptor);

    [LibraryImport("libc", SetLastError = true)]
    internal static partial int close(int descriptor);

    /// <summary>struct statx of Linux: 256 bytes.</summary>
    [StructLayout(LayoutKind.Explicit, Size = 256)]
    internal struct statx_t
    {
        [FieldOffset(16)]
        internal uint stx_nlink;

        [FieldOffset(32)]
        internal ulong stx_ino;

        [FieldOffset(40)]
        internal ulong stx_size;

        [FieldOffset(112)]
        internal long stx_mtime_sec;

        [FieldOffset(120)]
        internal uint stx_mtime_nsec;

        [FieldOffset(136)]
        internal uint stx_dev_major;

        [FieldOffset(140)]
        internal uint stx_dev_minor;
    }
}
