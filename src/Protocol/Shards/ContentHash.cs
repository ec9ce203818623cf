using System.Buffers.Binary;
using System.Globalization;
using System.IO.Hashing;
using TensorParallel.Protocol.Checkpoints;

namespace TensorParallel.Protocol.Shards;

/// <summary>
/// XXH128 of bytes and of files: finds what a disk or a copy has broken and what was exchanged by mistake, at the speed of memory. It
/// is no defence against somebody who forges. Stateless, thread-safe.
/// </summary>
public static class ContentHash
{
    /// <summary>Bytes that are hashed as one: the size of a loader's slot, so that its threads check what they have just read.</summary>
    public const int PieceBytes = 4 << 20;

    private const int HashBytes = 16;

    /// <summary>The hash of bytes in memory.</summary>
    public static UInt128 Of(ReadOnlySpan<byte> bytes) => XxHash128.HashToUInt128(bytes);

    /// <summary>The hash as text: 32 hexadecimal digits.</summary>
    public static string Text(UInt128 hash) => hash.ToString("x32", CultureInfo.InvariantCulture);

    /// <summary>Reads what <see cref="Text"/> wrote; false for anything else.</summary>
    public static bool TryParse(string text, out UInt128 hash)
    {
        hash = default;
        return text.Length == 2 * HashBytes
            && UInt128.TryParse(text, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out hash);
    }

    /// <summary>The hash of everything before the data of a safetensors file.</summary>
    /// <exception cref="CheckpointException">The file cannot be read.</exception>
    public static UInt128 OfHeader(SafetensorsHeader header)
    {
        try
        {
            using var file = File.OpenHandle(header.Path);
            var bytes = new byte[header.DataStart];
            JsonFile.ReadExactly(file, bytes, 0, header.Path);
            return Of(bytes);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or NotSupportedException)
        {
            throw JsonFile.Unreadable(header.Path, e);
        }
    }

    /// <summary>
    /// The hash of a whole file: that of the hashes of its pieces, which are read and hashed by several threads. Needs a piece of memory
    /// for each of them.
    /// </summary>
    /// <exception cref="CheckpointException">The file cannot be read, or ends while it is.</exception>
    /// <exception cref="OperationCanceledException">Cancelled.</exception>
    public static UInt128 OfFile(string path, int threads, CancellationToken cancellationToken)
    {
        try
        {
            using var file = File.OpenHandle(path);
            var bytes = RandomAccess.GetLength(file);
            var hashes = new byte[checked((int)((bytes + PieceBytes - 1) / PieceBytes * HashBytes))];
            System.Threading.Tasks.Parallel.For(
                0,
                hashes.Length / HashBytes,
                new ParallelOptions { MaxDegreeOfParallelism = threads, CancellationToken = cancellationToken },
                () => new byte[PieceBytes],
                (piece, _, buffer) =>
                {
                    var offset = (long)piece * PieceBytes;
                    var target = buffer.AsSpan(0, (int)Math.Min(PieceBytes, bytes - offset));
                    JsonFile.ReadExactly(file, target, offset, path);
                    BinaryPrimitives.WriteUInt128BigEndian(hashes.AsSpan(piece * HashBytes, HashBytes), Of(target));
                    return buffer;
                },
                _ => { });
            return Of(hashes);
        }
        catch (AggregateException e) when (e.InnerExceptions.FirstOrDefault(inner => inner is CheckpointException) is { } known)
        {
            throw new CheckpointException(known.Message, e);
        }
        catch (AggregateException e) when (e.InnerExceptions.FirstOrDefault(inner => inner is IOException) is { } failed)
        {
            throw JsonFile.Unreadable(path, failed);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or NotSupportedException)
        {
            throw JsonFile.Unreadable(path, e);
        }
    }
}
