using TensorParallel.Protocol.Checkpoints;

namespace TensorParallel.Worker.Quantization;

/// <summary>Not quantized: F32, BF16 or F16 elements, row-major, without padding.</summary>
internal sealed class DenseFormat : IWeightFormat
{
    public const string FormatName = "dense";

    public string Name => FormatName;

    public ILinearWeight Allocate(
        WeightMemory memory, DType dtype, IReadOnlyList<WeightPart> parts, ICollection<WeightTarget> targets)
    {
        var columns = parts[0].LocalColumns;
        if (parts.FirstOrDefault(p => p.LocalColumns != columns) is { Slice: not null } other)
        {
            throw new ArgumentException(
                $"{other.Slice.Name} has {other.LocalColumns} input columns but {parts[0].Slice.Name} has {columns}: " +
                "they cannot share one weight.", nameof(parts));
        }

        var matrix = memory(dtype, parts.Sum(p => p.LocalRows), columns);
        var row = 0;
        foreach (var part in parts)
        {
            targets.Add(new WeightTarget(
                part.Slice, [part.FullRows, part.FullColumns], matrix.RowsAt(row, part.LocalRows)));
            row += part.LocalRows;
        }

        return new DenseWeight(matrix, ownsBuffer: true);
    }
}
