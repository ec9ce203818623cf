using System.Runtime.CompilerServices;
using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Worker.Devices;

namespace TensorParallel.Worker.Ops.Cuda;

/// <summary>
/// Checks of operands before a launch; each throws an <see cref="ArgumentException"/>. What integer tensors hold is not checked:
/// it is on the device and may change between replays.
/// </summary>
internal static class CudaOperand
{
    /// <summary>The tensor lies inside its buffer, which belongs to the device, and its rows do not overlap.</summary>
    public static void CheckMemory(
        CudaDevice device, Tensor tensor, [CallerArgumentExpression(nameof(tensor))] string? name = null)
    {
        if (tensor.Buffer is not CudaBuffer buffer || buffer.Device != device)
        {
            throw new ArgumentException($"{name} does not lie on {device.Name}.", name);
        }

        var size = tensor.DType.SizeInBytes();
        if (tensor.Rows < 0 || tensor.Columns < 0 || tensor.RowStride < tensor.Columns || tensor.OffsetBytes < 0
            || tensor.OffsetBytes % size != 0)
        {
            throw new ArgumentException($"{name} is malformed: {Describe(tensor)}.", name);
        }

        var elements = tensor.Rows == 0 ? 0 : ((tensor.Rows - 1L) * tensor.RowStride) + tensor.Columns;
        if (tensor.OffsetBytes + (elements * size) > buffer.Bytes)
        {
            throw new ArgumentException($"{name} reaches past its buffer of {buffer.Bytes:N0} bytes: {Describe(tensor)}.", name);
        }
    }

    /// <summary>As <see cref="CheckMemory"/>, and the shape and dtype are these.</summary>
    public static void Check(
        CudaDevice device, Tensor tensor, DType dtype, int rows, int columns,
        [CallerArgumentExpression(nameof(tensor))] string? name = null)
    {
        CheckMemory(device, tensor, name);
        if (tensor.DType != dtype)
        {
            throw new ArgumentException($"{name} must be {dtype}, but is {tensor.DType}.", name);
        }

        if (tensor.Rows != rows || tensor.Columns != columns)
        {
            throw new ArgumentException(
                $"{name} must be [{rows}, {columns}], but is [{tensor.Rows}, {tensor.Columns}].", name);
        }
    }

    /// <summary>As <see cref="CheckMemory"/>, and the shape is this and the dtype one that kernels compute with.</summary>
    public static void CheckFloat(
        CudaDevice device, Tensor tensor, int rows, int columns,
        [CallerArgumentExpression(nameof(tensor))] string? name = null)
    {
        _ = CudaElement.Code(tensor.DType);
        Check(device, tensor, tensor.DType, rows, columns, name);
    }

    /// <summary>Whether every row starts at a multiple of 16 bytes and holds whole eights, so that 16-byte accesses work.</summary>
    public static bool IsWide(Tensor tensor) =>
        tensor.Columns % 8 == 0 && tensor.Address % 16 == 0
        && (tensor.Rows <= 1 || (long)tensor.RowStride * tensor.DType.SizeInBytes() % 16 == 0);

    private static string Describe(Tensor tensor) =>
        $"[{tensor.Rows}, {tensor.Columns}] {tensor.DType}, stride {tensor.RowStride}, offset {tensor.OffsetBytes}";
}
