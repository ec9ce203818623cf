using TensorParallel.Protocol.Checkpoints;

namespace TensorParallel.Protocol.Shards;

/// <summary>A checkpoint's file as it was when shards were cut from it.</summary>
/// <param name="Name">Plain file name inside the model folder.</param>
/// <param name="Bytes">Size.</param>
/// <param name="Modified">Time of its last change, UTC, in steps of 100 ns; of a link, that of the file it leads to.</param>
/// <param name="Header">Hash of everything before its data.</param>
/// <param name="Content">Hash of all of it, see <see cref="ContentHash.OfFile"/>.</param>
public sealed record SourceFile(string Name, long Bytes, DateTime Modified, UInt128 Header, UInt128 Content)
{
    /// <summary>Size and time of a file now.</summary>
    /// <exception cref="CheckpointException">It cannot be opened.</exception>
    public static (long Bytes, DateTime Modified) Stamp(string path)
    {
        try
        {
            using var file = File.OpenHandle(path);
            return (RandomAccess.GetLength(file), File.GetLastWriteTimeUtc(file));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or NotSupportedException)
        {
            throw JsonFile.Unreadable(path, e);
        }
    }
}
