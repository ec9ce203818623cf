using Microsoft.Win32.SafeHandles;
using TensorParallel.Protocol.Checkpoints;

namespace TensorParallel.Worker.Loading;

/// <summary>
/// Byte ranges of one weight file. Thread-safe: reads carry their own position. Counts what it has read.
/// </summary>
internal sealed class SafetensorsFile : IDisposable
{
    private readonly SafeFileHandle _handle;
    private readonly string _path;
    private readonly (long Length, DateTime Written) _identity;
    private long _bytesRead;

    /// <summary>Opens the file; throws <see cref="CheckpointException"/> when it cannot be opened.</summary>
    public SafetensorsFile(string path)
    {
        _path = path;
        try
        {
            _handle = File.OpenHandle(path, options: FileOptions.SequentialScan); // the disk then fetches further ahead
            _identity = Identity();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new CheckpointException($"{path}: cannot be opened for reading: {e.Message}", e);
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
    /// Throws a <see cref="CheckpointException"/> if the file was written to, replaced or taken away since it was opened: what was read
    /// of it may then be of another model.
    /// </summary>
    public void ThrowIfChanged()
    {
        try
        {
            var now = new FileInfo(_path);
            if (Identity() == _identity && now.Exists && (now.Length, now.LastWriteTimeUtc) == _identity)
            {
                return;
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new CheckpointException($"{_path}: cannot be looked at any more: {e.Message}", e);
        }

        throw new CheckpointException(
            $"{_path}: the file has changed since it was opened, while weights are still read from it; put it back or load the model again.");
    }

    public void Dispose() => _handle.Dispose();

    private (long Length, DateTime Written) Identity() => (RandomAccess.GetLength(_handle), File.GetLastWriteTimeUtc(_handle));

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
