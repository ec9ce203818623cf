using Microsoft.Win32.SafeHandles;
using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Worker.Devices;

namespace TensorParallel.Worker.Loading.Shards;

/// <summary>A rank's file while it is written: loader threads fill it as they would fill a device. Writes may come from any thread.</summary>
internal sealed class ShardFile : IUploadTarget, IDisposable
{
    private readonly SafeFileHandle _handle;
    private readonly string _path;
    private readonly long _setBytes;

    /// <summary>Makes the file and has the disk set its space aside where the file system can.</summary>
    /// <param name="path">A file that is not there yet.</param>
    /// <param name="bytes">Its size.</param>
    /// <param name="setBytes">Size of all files of the set, for messages.</param>
    /// <exception cref="ShardException">It cannot be made, or there is no room for it.</exception>
    public ShardFile(string path, long bytes, long setBytes)
    {
        (_path, _setBytes) = (path, setBytes);
        Buffer = new ShardFileBuffer(bytes);
        _handle = Guard(() => File.OpenHandle(path, FileMode.CreateNew, FileAccess.ReadWrite, FileShare.None, preallocationSize: bytes));
    }

    /// <summary>The file as a place for tensors.</summary>
    public DeviceBuffer Buffer { get; }

    public IUploadLane OpenUploadLane(int slotBytes) => new ShardFileLane(this, slotBytes);

    /// <summary>Writes bytes at their place.</summary>
    /// <exception cref="ShardException">The disk is full, or fails.</exception>
    public void Write(long offset, ReadOnlySpan<byte> bytes)
    {
        try
        {
            RandomAccess.Write(_handle, bytes, offset);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw Failed(e);
        }
    }

    /// <summary>Reads back what was written.</summary>
    /// <exception cref="CheckpointException">The file has fewer bytes.</exception>
    public void Read(long offset, Span<byte> target) => JsonFile.ReadExactly(_handle, target, offset, _path);

    /// <summary>Returns when the disk has all of it.</summary>
    /// <exception cref="ShardException">The disk is full, or fails.</exception>
    public void Flush() => Guard(() =>
    {
        RandomAccess.FlushToDisk(_handle);
        return true;
    });

    public void Dispose() => _handle.Dispose();

    private T Guard<T>(Func<T> action)
    {
        try
        {
            return action();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw Failed(e);
        }
    }

    private ShardException Failed(Exception e) => ShardDisk.Failed(_path, _setBytes, e);
}
