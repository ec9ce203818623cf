using TensorParallel.Protocol.Parallel;

namespace TensorParallel.Worker.Quantization;

/// <summary>This rank's part of one linear weight [FullRows, FullColumns].</summary>
/// <param name="Slice">Which rows or columns are held.</param>
/// <param name="FullRows">Output features before the cut.</param>
/// <param name="FullColumns">Input features before the cut.</param>
internal readonly record struct WeightPart(TensorSlice Slice, int FullRows, int FullColumns)
{
    /// <summary>Output features held.</summary>
    public int LocalRows => Slice.Dim == 0 ? Slice.Ranges.Sum(r => r.Length) : FullRows;

    /// <summary>Input features held.</summary>
    public int LocalColumns => Slice.Dim == 1 ? Slice.Ranges.Sum(r => r.Length) : FullColumns;
}
