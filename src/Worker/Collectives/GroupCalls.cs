using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Worker.Devices;

namespace TensorParallel.Worker.Collectives;

/// <summary>
/// Checks of arguments that every backend makes before it touches memory; they throw <see cref="ArgumentException"/>.
/// </summary>
internal static class GroupCalls
{
    /// <summary>A tensor that can be summed.</summary>
    /// <param name="x">The tensor.</param>
    /// <param name="takesHalf">The device computes in BF16 and F16 too.</param>
    public static void CheckSummable(Tensor x, bool takesHalf = false)
    {
        if (x.DType != DType.F32 && !(takesHalf && x.DType is (DType.BF16 or DType.F16)))
        {
            throw new ArgumentException(
                $"AllReduceSum takes F32{(takesHalf ? ", BF16 or F16" : string.Empty)}, not {x.DType}.", nameof(x));
        }

        CheckBounds(x, nameof(x));
    }

    /// <summary>A view that lies inside its buffer.</summary>
    public static void CheckBounds(Tensor tensor, string name)
    {
        var element = tensor.DType.SizeInBytes();
        var isEmpty = tensor.Rows == 0 || tensor.Columns == 0;
        var end = isEmpty
            ? tensor.OffsetBytes
            : tensor.OffsetBytes + ((((tensor.Rows - 1L) * tensor.RowStride) + tensor.Columns) * element);
        if (tensor.Rows < 0 || tensor.Columns < 0 || tensor.OffsetBytes < 0 || tensor.OffsetBytes % element != 0
            || (tensor.Rows > 1 && tensor.RowStride < tensor.Columns) || end > tensor.Buffer.Bytes)
        {
            throw new ArgumentException(
                $"[{tensor.Rows}, {tensor.Columns}] {tensor.DType} with row stride {tensor.RowStride} at byte "
                + $"{tensor.OffsetBytes} does not lie inside its buffer of {tensor.Buffer.Bytes} bytes.",
                name);
        }
    }

    /// <summary>Shapes of a gather: part [T, columns[rank]], whole [T, Σ columns], one dtype.</summary>
    public static void CheckGather(Tensor part, Tensor whole, IReadOnlyList<int> columns, int rank, int size)
    {
        if (columns.Count != size)
        {
            throw new ArgumentException($"{columns.Count} parts for {size} ranks.", nameof(columns));
        }

        long sum = 0;
        for (var r = 0; r < size; r++)
        {
            ArgumentOutOfRangeException.ThrowIfNegative(columns[r], nameof(columns));
            sum += columns[r];
        }

        if (part.Columns != columns[rank] || whole.Columns != sum || part.Rows != whole.Rows
            || part.DType != whole.DType)
        {
            throw new ArgumentException(
                $"Rank {rank} gathers [{part.Rows}, {part.Columns}] {part.DType} into "
                + $"[{whole.Rows}, {whole.Columns}] {whole.DType}; its part has {columns[rank]} of {sum} columns.",
                nameof(part));
        }

        CheckBounds(part, nameof(part));
        CheckBounds(whole, nameof(whole));
    }

    /// <summary>Shapes of a sum that goes into a residual and its norm: all [T, H] of one dtype, the weight [1, H].</summary>
    public static void CheckNorm(Tensor delta, Tensor residual, Tensor weight, Tensor normed)
    {
        foreach (var (tensor, rows, name) in ((Tensor, int, string)[])
            [(residual, delta.Rows, nameof(residual)), (weight, 1, nameof(weight)), (normed, delta.Rows, nameof(normed))])
        {
            if (tensor.Rows != rows || tensor.Columns != delta.Columns || (name != nameof(weight) && tensor.DType != delta.DType))
            {
                throw new ArgumentException(
                    $"{name} is [{tensor.Rows}, {tensor.Columns}] {tensor.DType} for a sum [{delta.Rows}, {delta.Columns}] "
                    + $"{delta.DType}.",
                    name);
            }

            CheckBounds(tensor, name);
        }
    }

    /// <summary>A rank of the group.</summary>
    public static void CheckPeer(int peer, int size, string name)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(peer, name);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(peer, size, name);
    }

    /// <summary>The error for a message to oneself or to nobody.</summary>
    public static ArgumentException NoSuchPeer(int peer, int size) =>
        new($"Rank {peer} is no peer in a group of {size} ranks.", nameof(peer));
}
