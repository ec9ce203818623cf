using System.IO.MemoryMappedFiles;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using TensorParallel.Worker.Devices;
using TensorParallel.Worker.Native;

namespace TensorParallel.Worker.Collectives.SharedMemory;

/// <summary>
/// One mapping of a group's segment: a file in <c>/dev/shm</c> that only its user may open, unlinked once every rank
/// has mapped it. Each rank holds a lock on "its" byte of the file; the kernel drops it when the process ends, however
/// it ends, which tells the others. Owned by one rank; disposing unmaps, and unlinks where this rank made the file.
/// </summary>
internal sealed unsafe class SharedMemorySegment : IDisposable
{
    internal const string Folder = "/dev/shm";
    internal const string FilePrefix = "tensor-parallel-";

    private readonly SafeFileHandle _file;
    private readonly MemoryMappedFile _map;
    private readonly MemoryMappedViewAccessor _view;
    private readonly byte* _base;
    private string? _pathToUnlink;
    private bool _disposed;

    private SharedMemorySegment(SafeFileHandle file, SharedMemoryBootstrap bootstrap, string? pathToUnlink)
    {
        _file = file;
        Layout = bootstrap.Layout;
        _pathToUnlink = pathToUnlink;
        _map = MemoryMappedFile.CreateFromFile(
            file,
            null,
            Layout.TotalBytes,
            MemoryMappedFileAccess.ReadWrite,
            HandleInheritability.None,
            leaveOpen: true);
        _view = _map.CreateViewAccessor(0, Layout.TotalBytes, MemoryMappedFileAccess.ReadWrite);
        _view.SafeMemoryMappedViewHandle.AcquirePointer(ref _base);
    }

    /// <summary>Sizes and offsets.</summary>
    public SharedMemoryLayout Layout { get; }

    /// <summary>Path of the segment that a blob names.</summary>
    public static string PathOf(SharedMemoryBootstrap bootstrap) => Path.Combine(Folder, FilePrefix + bootstrap.Id);

    /// <summary>Makes and maps the segment, every byte of it allocated, and takes rank 0's lock.</summary>
    public static SharedMemorySegment Create(SharedMemoryBootstrap bootstrap)
    {
        var path = PathOf(bootstrap);
        var bytes = bootstrap.Layout.TotalBytes;
        var what = $"Rank 0 cannot make the shared memory of {bytes} bytes at {path}";
        var file = OpenFile(path, FileMode.CreateNew, what);
        try
        {
            Allocate(file, bytes);
            var segment = new SharedMemorySegment(file, bootstrap, path);
            *(ulong*)segment.At(SharedMemoryLayout.MagicOffset) = SharedMemoryBootstrap.Magic;
            *(SharedMemoryLayout*)segment.At(SharedMemoryLayout.SizesOffset) = bootstrap.Layout;
            segment.LockRank(0);
            return segment;
        }
        catch
        {
            file.Dispose();
            File.Delete(path);
            throw;
        }
    }

    /// <summary>Maps the segment that rank 0 made and takes this rank's lock.</summary>
    public static SharedMemorySegment Open(SharedMemoryBootstrap bootstrap, int rank)
    {
        var path = PathOf(bootstrap);
        var what = $"Rank {rank} cannot open the shared memory of rank 0 at {path}";
        var file = OpenFile(path, FileMode.Open, what);
        try
        {
            var bytes = RandomAccess.GetLength(file);
            if (bytes != bootstrap.Layout.TotalBytes)
            {
                throw new CollectiveException($"{what}: it has {bytes} bytes, not {bootstrap.Layout.TotalBytes}.");
            }

            var segment = new SharedMemorySegment(file, bootstrap, null);
            if (*(ulong*)segment.At(SharedMemoryLayout.MagicOffset) != SharedMemoryBootstrap.Magic
                || *(SharedMemoryLayout*)segment.At(SharedMemoryLayout.SizesOffset) != bootstrap.Layout)
            {
                segment.Dispose();
                throw new CollectiveException($"{what}: its header is not the one that the bootstrap blob describes.");
            }

            segment.LockRank(rank);
            return segment;
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <summary>
    /// Gives a file of shared memory its bytes. Without this a full <c>/dev/shm</c> shows itself at the first write, as
    /// a bus error that kills the process.
    /// </summary>
    public static void Allocate(SafeFileHandle file, long bytes)
    {
        var error = Libc.posix_fallocate(file, 0, bytes);
        if (error != 0)
        {
            throw new CollectiveException(
                $"Rank 0 cannot allocate {bytes} bytes of shared memory in {Folder} "
                + $"({Marshal.GetPInvokeErrorMessage(error)}; {FreeBytes()} bytes are free there): "
                + "make it larger, for a container with --shm-size.");
        }
    }

    /// <summary>
    /// Deletes segments of this user whose maker is gone: what is left when a process is killed between making a
    /// segment and the last rank's joining. Young files are spared: their maker may not hold its lock yet.
    /// </summary>
    public static void DeleteAbandoned()
    {
        foreach (var path in Directory.EnumerateFiles(Folder, FilePrefix + "*"))
        {
            try
            {
                if (DateTime.UtcNow - File.GetLastWriteTimeUtc(path) < TimeSpan.FromMinutes(1))
                {
                    continue;
                }

                using var file = File.OpenHandle(path, FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite);
                if (!IsLocked(file, 0))
                {
                    File.Delete(path);
                }
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                // Another user's, or gone by now: not ours to clean, and no reason not to start.
            }
        }
    }

    /// <summary>Address of an offset of the segment.</summary>
    public byte* At(long offset) => _base + offset;

    /// <summary>Whether the process of a rank that has joined still lives.</summary>
    public bool IsAlive(int rank) => IsLocked(_file, rank);

    /// <summary>Removes the file's name; the memory lives on while a rank maps it.</summary>
    public void Unlink()
    {
        if (_pathToUnlink is { } path)
        {
            File.Delete(path);
            _pathToUnlink = null;
        }
    }

    public void Dispose()
    {
        if (_disposed)
        {
            return;
        }

        _disposed = true;
        Disposal.Run(
            Unlink, _view.SafeMemoryMappedViewHandle.ReleasePointer, _view.Dispose, _map.Dispose, _file.Dispose);
    }

    private void LockRank(int rank)
    {
        var range = new Libc.flock64 { l_type = Libc.F_WRLCK, l_start = rank, l_len = 1 };
        if (Libc.fcntl(_file, Libc.F_OFD_SETLK, &range) != 0)
        {
            var reason = Marshal.GetLastPInvokeErrorMessage();
            Dispose();
            throw new CollectiveException(
                $"Rank {rank} cannot lock its place in the group's shared memory ({reason}): another process has "
                + $"joined as rank {rank}.");
        }
    }

    private static bool IsLocked(SafeFileHandle file, int rank)
    {
        var range = new Libc.flock64 { l_type = Libc.F_WRLCK, l_start = rank, l_len = 1 };
        return Libc.fcntl(file, Libc.F_OFD_GETLK, &range) == 0
            ? range.l_type != Libc.F_UNLCK
            : throw new CollectiveException(
                $"The lock of rank {rank} on the group's shared memory cannot be read: "
                + $"{Marshal.GetLastPInvokeErrorMessage()}.");
    }

    private static SafeFileHandle OpenFile(string path, FileMode mode, string what)
    {
        if (!OperatingSystem.IsLinux())
        {
            throw new PlatformNotSupportedException("The shared-memory backend needs Linux: its waits are futexes.");
        }

        try
        {
            if (mode == FileMode.CreateNew)
            {
                var owner = UnixFileMode.UserRead | UnixFileMode.UserWrite;
                using var created = new FileStream(
                    path, new FileStreamOptions { Mode = mode, Access = FileAccess.Write, UnixCreateMode = owner });
            }

            return File.OpenHandle(path, FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite | FileShare.Delete);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new CollectiveException($"{what}: {e.Message}");
        }
    }

    private static string FreeBytes()
    {
        try
        {
            return new DriveInfo(Folder).AvailableFreeSpace.ToString(System.Globalization.CultureInfo.InvariantCulture);
        }
        catch (IOException)
        {
            return "an unknown number of";
        }
    }
}
