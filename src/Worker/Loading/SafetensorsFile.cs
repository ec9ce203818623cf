using Microsoft.Win32.SafeHandles;
using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Worker.Native;

namespace TensorParallel.Worker.Loading;

/// <summary>
/// Byte ranges of one weight file, which stays the one that was opened: whoever reads over a longer time asks
/// <see cref="ThrowIfChanged"/> after each round. Thread-safe: reads carry their own position. Counts what it has read.
/// </summary>
internal sealed class SafetensorsFile : IDisposable
{
    private readonly SafeFileHandle _handle;
    private readonly string _path;
    private readonly FileIdentity _opened;
    private long _bytesRead;

    /// <summary>Opens the file; throws <see cref="CheckpointException"/> when it cannot be opened.</summary>
    public SafetensorsFile(string path)
    {
        _path = path;
        try
        {
            _handle = File.OpenHandle(path, options: FileOptions.SequentialScan); // the disk then fetches further ahead
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new CheckpointException($"{path}: cannot be opened for reading: {e.Message}", e);
        }

        try
        {
            _opened = Identity();
        }
        catch
        {
            _handle.Dispose();
            throw;
        }
    }

    /// <summary>Bytes read so far, by all threads.</summary>
    public long BytesRead => Interlocked.Read(ref _bytesRead);

    /// <summary>
    /// Fills <paramref name="target"/> with the bytes from <paramref name="offset"/> on. A file that ends before,
    /// because it was replaced or cut after its header was read, is a <see cref="CheckpointException"/> that names
    /// <paramref name="tensor"/>.
    /// </summary>
    public void Read(long offset, Span<byte> target, string tensor)
    {
        var done = 0;
        while (done < target.Length)
        {
            var count = ReadSome(offset + done, target[done..], tensor);
            if (count == 0)
            {
                throw new CheckpointException(
                    $"{_path}: tensor \"{tensor}\": the file ends at byte {offset + done}, but its header promised " +
                    $"bytes up to {offset + target.Length}: it has changed since it was opened; " +
                    "load again when it is complete.");
            }

            done += count;
        }

        Interlocked.Add(ref _bytesRead, target.Length);
    }

    /// <summary>
    /// Throws <see cref="CheckpointException"/> when the file is not in the state in which it was opened: written to, cut, or another one
    /// in its place. Bytes read before a check that passes are those of the file as it was opened. Two calls of the system, about a
    /// microsecond; any thread.
    /// </summary>
    public void ThrowIfChanged()
    {
        var now = Identity();
        var how = now.Bytes != _opened.Bytes ? $"it had {_opened.Bytes} bytes and has {now.Bytes}"
            : now != _opened ? "it was written to"
            : AtPath() switch
            {
                null => "it was removed",
                { } there when !there.IsSameFile(_opened) => "another file was put in its place",
                _ => null,
            };
        if (how is not null)
        {
            throw new CheckpointException(
                $"{_path}: the file has changed since it was opened ({how}), so that what was read before and after need not belong " +
                "together: leave the files of a running model alone, and start it again with the files that it is to use.");
        }
    }

    public void Dispose() => _handle.Dispose();

    private FileIdentity Identity() => Ask(() => FileIdentity.Of(_handle));

    private FileIdentity? AtPath() => Ask(() => FileIdentity.Of(_path));

    private T Ask<T>(Func<T> state)
    {
        try
        {
            return state();
        }
        catch (IOException e)
        {
            throw new CheckpointException($"{_path}: whether the file has changed cannot be told: {e.Message}", e);
        }
    }

    private int ReadSome(long offset, Span<byte> target, string tensor)
    {
        try
        {
            return RandomAccess.Read(_handle, target, offset);
        }
        catch (IOException e)
        {
            throw new CheckpointException(
                $"{_path}: tensor \"{tensor}\": reading {target.Length} bytes at {offset} failed: {e.Message}", e);
        }
    }
}
