using System.Globalization;
using System.Runtime.InteropServices;
using TensorParallel.Worker.Native;

namespace TensorParallel.Worker.Loading.Shards;

/// <summary>What the writer of a set asks of the disk.</summary>
internal static class ShardDisk
{
    /// <summary>The sentence for a write that failed: the cause, what the set needs and what there is.</summary>
    /// <param name="path">The file.</param>
    /// <param name="setBytes">Bytes of the whole set.</param>
    /// <param name="cause">What the system said.</param>
    public static ShardException Failed(string path, long setBytes, Exception cause)
    {
        var folder = Path.GetDirectoryName(path)!;
        return new ShardException(
            string.Create(
                CultureInfo.InvariantCulture,
                $"{path}: cannot be written: {cause.Message.TrimEnd('.')}; the shards need {setBytes:N0} bytes, {Free(folder)}: ")
            + "make room or give another place with --output; what was written is removed.",
            cause);
    }

    /// <summary>Has the disk take down the entries of a folder: names of files just made or renamed.</summary>
    /// <exception cref="IOException">It does not.</exception>
    public static void FlushFolder(string folder)
    {
        var descriptor = Libc.open(folder, Libc.O_RDONLY | Libc.O_CLOEXEC);
        if (descriptor < 0)
        {
            throw new IOException($"{folder}: {Marshal.GetLastPInvokeErrorMessage()}");
        }

        try
        {
            if (Libc.fsync(descriptor) != 0)
            {
                throw new IOException($"{folder}: {Marshal.GetLastPInvokeErrorMessage()}");
            }
        }
        finally
        {
            _ = Libc.close(descriptor);
        }
    }

    private static string Free(string folder)
    {
        try
        {
            return string.Create(CultureInfo.InvariantCulture, $"{new DriveInfo(folder).AvailableFreeSpace:N0} are free there now");
        }
        catch (IOException e)
        {
            return $"and how many are free is not told ({e.Message.TrimEnd('.')})";
        }
    }
}
