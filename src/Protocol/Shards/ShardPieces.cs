namespace TensorParallel.Protocol.Shards;

/// <summary>
/// How a tensor of a rank's file is divided into the pieces that are hashed, and read, as one: as many whole rows as fit, or parts of a
/// row where one row alone is too long. Every byte is in exactly one piece.
/// </summary>
public static class ShardPieces
{
    /// <summary>The pieces in order: first byte, counted from the tensor's own, and bytes.</summary>
    /// <param name="rows">Rows; a vector is one.</param>
    /// <param name="columns">Elements of a row.</param>
    /// <param name="elementBytes">Bytes of an element.</param>
    /// <param name="pieceBytes">Most bytes of a piece. Example: rows of 3,000 bytes and pieces of 8,192 make pieces of 6,000.</param>
    public static IEnumerable<(long Offset, int Bytes)> Of(int rows, int columns, int elementBytes, int pieceBytes)
    {
        var rowBytes = (long)columns * elementBytes;
        if (rows == 0 || rowBytes == 0)
        {
            yield break;
        }

        // A row that is cut is cut anew for each row, so that no piece spans two of them.
        var (runs, runBytes, most) = rowBytes <= pieceBytes
            ? (1, rows * rowBytes, pieceBytes / rowBytes * rowBytes)
            : (rows, rowBytes, Math.Max(1, pieceBytes / elementBytes) * elementBytes);
        for (var run = 0; run < runs; run++)
        {
            for (var done = 0L; done < runBytes; done += most)
            {
                yield return ((run * runBytes) + done, (int)Math.Min(most, runBytes - done));
            }
        }
    }
}
