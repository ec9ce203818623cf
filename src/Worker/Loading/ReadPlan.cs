using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Protocol.Parallel;
using TensorParallel.Worker.Devices;
using TensorParallel.Worker.Quantization;

namespace TensorParallel.Worker.Loading;

/// <summary>
/// Turns held parts into reads of a bounded size, small ones first, sorted by file and offset. Example: columns [1024, 2048) of a bf16
/// [4096, 4096] tensor are 4,096 runs of 2,048 bytes, 8,192 apart: 6,144 unwanted bytes between them are more than a
/// page, so each run is read by itself.
/// </summary>
internal static class ReadPlan
{
    /// <summary>Gaps below this are read along: the smallest piece a disk cache fetches.</summary>
    public const int PageBytes = 4096;

    // Chunks of at most an eighth of a slot come first, so that they share slots: between large ones each would have one of its own.
    private const int SmallParts = 8;

    /// <summary>
    /// The reads for <paramref name="targets"/>, each of at most <paramref name="chunkBytes"/> file bytes.
    /// </summary>
    /// <exception cref="CheckpointException">
    /// A tensor is missing, or its shape or dtype is not what was planned for.
    /// </exception>
    public static IReadOnlyList<ReadChunk> Create(
        IReadOnlyDictionary<string, TensorInfo> tensors, IReadOnlyList<WeightTarget> targets, int chunkBytes)
    {
        var chunks = new List<ReadChunk>();
        foreach (var target in targets)
        {
            AddTarget(Find(tensors, target), target, chunkBytes, chunks);
        }

        return [.. chunks
            .OrderBy(c => c.SlotBytes > chunkBytes / SmallParts)
            .ThenBy(c => c.Source.File, StringComparer.Ordinal)
            .ThenBy(c => c.FileOffset)];
    }

    private static TensorInfo Find(IReadOnlyDictionary<string, TensorInfo> tensors, WeightTarget target)
    {
        if (!tensors.TryGetValue(target.Slice.Name, out var source))
        {
            throw new CheckpointException(
                $"Tensor \"{target.Slice.Name}\" of the plan is not in the checkpoint: they do not belong together.");
        }

        if (!source.Shape.SequenceEqual(target.FullShape.Select(size => (long)size)))
        {
            throw new CheckpointException(
                $"{source.File}: tensor \"{source.Name}\" has shape [{string.Join(", ", source.Shape)}] but the " +
                $"model needs [{string.Join(", ", target.FullShape)}].");
        }

        return DTypeConversion.IsSupported(source.DType)
            ? source
            : throw new CheckpointException(
                $"{source.File}: tensor \"{source.Name}\" is stored as {source.DType.SafetensorsName()}, but only " +
                "F32, BF16 and F16 weights can be loaded.");
    }

    private static void AddTarget(TensorInfo source, WeightTarget target, int chunkBytes, List<ReadChunk> chunks)
    {
        // A vector is one row whose columns are cut by dimension 0.
        var isVector = target.FullShape.Count == 1;
        var (fullRows, fullColumns) = isVector ? (1, target.FullShape[0]) : (target.FullShape[0], target.FullShape[1]);
        var cutsColumns = target.Slice.Dim is { } dim && (isVector || dim == 1);
        var cutSize = cutsColumns ? fullColumns : fullRows;
        IReadOnlyList<IndexRange> ranges =
            target.Slice.Dim is null ? [new IndexRange(0, cutSize)] : target.Slice.Ranges;
        CheckRanges(source, target, ranges, cutSize, cutsColumns);

        var elementBytes = source.DType.SizeInBytes();
        var pitch = (long)fullColumns * elementBytes;
        var done = 0;
        foreach (var range in ranges.Where(r => r.Length > 0))
        {
            if (cutsColumns)
            {
                var place = target.Destination.ColumnsAt(done, range.Length);
                var offset = source.Offset + ((long)range.Start * elementBytes);
                AddRectangle(source, offset, pitch, place, chunkBytes, chunks);
            }
            else
            {
                var place = target.Destination.RowsAt(done, range.Length);
                AddRectangle(source, source.Offset + (range.Start * pitch), pitch, place, chunkBytes, chunks);
            }

            done += range.Length;
        }
    }

    private static void AddRectangle(
        TensorInfo source, long offset, long pitch, Tensor place, int chunkBytes, List<ReadChunk> chunks)
    {
        // Limits count what an element takes in the file or on the device, whichever is more: a slot holds either.
        var elementBytes = source.DType.SizeInBytes();
        var widestBytes = Math.Max(elementBytes, place.DType.SizeInBytes());
        var columnsPerRead = Math.Min(place.Columns, Math.Max(1, chunkBytes / widestBytes));
        var gap = pitch - ((long)columnsPerRead * elementBytes);
        var withGaps = gap < PageBytes && pitch <= chunkBytes;
        var wideRow = columnsPerRead * (long)widestBytes;
        var rowsPerRead = (int)Math.Max(1, chunkBytes / (withGaps ? Math.Max(pitch, wideRow) : wideRow));
        for (var row = 0; row < place.Rows; row += rowsPerRead)
        {
            var rows = place.RowsAt(row, Math.Min(rowsPerRead, place.Rows - row));
            for (var column = 0; column < place.Columns; column += columnsPerRead)
            {
                chunks.Add(new ReadChunk(
                    source,
                    offset + (row * pitch) + ((long)column * elementBytes),
                    pitch,
                    rows.ColumnsAt(column, Math.Min(columnsPerRead, place.Columns - column)),
                    withGaps));
            }
        }
    }

    private static void CheckRanges(
        TensorInfo source, WeightTarget target, IReadOnlyList<IndexRange> ranges, int cutSize, bool cutsColumns)
    {
        var held = cutsColumns ? target.Destination.Columns : target.Destination.Rows;
        var inside = ranges.All(r => r.Start >= 0 && r.End >= r.Start && r.End <= cutSize);
        if (!inside || ranges.Sum(r => (long)r.Length) != held)
        {
            throw new CheckpointException(
                $"{source.File}: tensor \"{source.Name}\": the plan's ranges " +
                $"{string.Join(", ", ranges.Select(r => $"[{r.Start}, {r.End})"))} do not make {held} of {cutSize}: " +
                "plan and checkpoint do not belong together.");
        }
    }
}
