using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace TensorParallel.Worker.Native;

/// <summary>Which file it is and in which state: two that are equal hold the same bytes, unless somebody has turned back a clock.</summary>
/// <param name="Device">Device number.</param>
/// <param name="Inode">Inode on that device.</param>
/// <param name="Bytes">Size.</param>
/// <param name="ModifiedSeconds">Last change, seconds since 1970.</param>
/// <param name="ModifiedNanoseconds">And nanoseconds.</param>
internal readonly record struct FileIdentity(
    ulong Device, ulong Inode, ulong Bytes, long ModifiedSeconds, uint ModifiedNanoseconds)
{
    /// <summary>Of an open file, as it is now.</summary>
    /// <exception cref="IOException">The system does not tell.</exception>
    public static FileIdentity Of(SafeFileHandle file)
    {
        var counted = false;
        try
        {
            file.DangerousAddRef(ref counted);
            return Ask((int)file.DangerousGetHandle(), "", Libc.AT_EMPTY_PATH)
                ?? throw new IOException("the open file has no state: statx failed.");
        }
        finally
        {
            if (counted)
            {
                file.DangerousRelease();
            }
        }
    }

    /// <summary>Of the file that a path leads to now, links followed; null: there is none.</summary>
    /// <exception cref="IOException">The system does not tell.</exception>
    public static FileIdentity? Of(string path) => Ask(Libc.AT_FDCWD, path, 0);

    /// <summary>Whether it is the same file, in whatever state.</summary>
    public bool IsSameFile(FileIdentity other) => Device == other.Device && Inode == other.Inode;

    private static unsafe FileIdentity? Ask(int descriptor, string path, int flags)
    {
        Libc.statx_t found;
        if (Libc.statx(descriptor, path, flags, Libc.STATX_BASIC_STATS, &found) == 0)
        {
            return new FileIdentity(
                ((ulong)found.stx_dev_major << 32) | found.stx_dev_minor,
                found.stx_ino,
                found.stx_size,
                found.stx_mtime_sec,
                found.stx_mtime_nsec);
        }

        var error = Marshal.GetLastPInvokeError();
        return error == Libc.ENOENT ? null : throw new IOException($"{Marshal.GetPInvokeErrorMessage(error)} (statx).");
    }
}
