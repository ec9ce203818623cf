namespace TensorParallel.Coordinator.Cli;

/// <summary>
/// A file for a result that takes minutes to compute: opened first, so that a path that cannot be written is told at once. Disposing it
/// unwritten leaves the file as it was before.
/// </summary>
internal sealed class ResultFile : IDisposable
{
    private readonly FileStream _stream;
    private bool _isEmptyAndNew;

    private ResultFile(FileStream stream, bool isNew)
    {
        _stream = stream;
        _isEmptyAndNew = isNew;
    }

    /// <summary>Opens a file without changing what is in it.</summary>
    /// <exception cref="UsageException">It cannot be written.</exception>
    public static ResultFile Open(string option, string path)
    {
        try
        {
            var isNew = !File.Exists(path);
            return new ResultFile(new FileStream(path, FileMode.OpenOrCreate, FileAccess.Write), isNew);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or ArgumentException)
        {
            throw new UsageException($"{option} is \"{path}\", which cannot be written: {exception.Message}");
        }
    }

    /// <summary>Replaces the content. Called once.</summary>
    public async Task WriteAsync(string text, CancellationToken cancellationToken)
    {
        if (_stream.CanSeek)
        {
            _stream.SetLength(0);
        }

        _isEmptyAndNew = false;
        await using var writer = new StreamWriter(_stream, leaveOpen: true);
        await writer.WriteAsync(text.AsMemory(), cancellationToken);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _stream.Dispose();
        if (_isEmptyAndNew)
        {
            File.Delete(_stream.Name);
        }
    }
}
