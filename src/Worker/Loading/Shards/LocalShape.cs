using TensorParallel.Protocol.Parallel;

namespace TensorParallel.Worker.Loading.Shards;

/// <summary>The shape of the part of a tensor that a rank holds.</summary>
internal static class LocalShape
{
    /// <summary>[rows, columns], or [length] of a vector. Example: rows [192, 384) of [512, 256] are [192, 256].</summary>
    public static IReadOnlyList<int> Of(TensorSlice slice, IReadOnlyList<int> fullShape) =>
        [.. fullShape.Select((size, dim) => dim == slice.Dim ? slice.Ranges.Sum(range => range.Length) : size)];
}
