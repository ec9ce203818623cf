using System.Runtime.CompilerServices;
using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Worker.Devices;

namespace TensorParallel.Worker.Ops.Cpu;

/// <summary>
/// Checks of operands, made before any memory is touched; each throws an <see cref="ArgumentException"/>.
/// </summary>
internal static class Operand
{
    /// <summary>The tensor lies inside its buffer, which belongs to the device, and its rows do not overlap.</summary>
    public static void CheckMemory(
        IDevice device, Tensor tensor, [CallerArgumentExpression(nameof(tensor))] string? name = null)
    {
        if (tensor.Buffer is not CpuBuffer buffer || !ReferenceEquals(buffer.Device, device))
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
            throw new ArgumentException(
                $"{name} reaches past its buffer of {buffer.Bytes:N0} bytes: {Describe(tensor)}.", name);
        }
    }

    /// <summary>As <see cref="CheckMemory"/>, and the shape and dtype are these.</summary>
    public static void Check(
        IDevice device, Tensor tensor, DType dtype, int rows, int columns,
        [CallerArgumentExpression(nameof(tensor))] string? name = null)
    {
        CheckFloat(device, tensor, rows, columns, name, allowInteger: true);
        if (tensor.DType != dtype)
        {
            throw new ArgumentException($"{name} must be {dtype}, but is {tensor.DType}.", name);
        }
    }

    /// <summary>As <see cref="CheckMemory"/>, and the shape is this and the dtype a float one.</summary>
    public static void CheckFloat(
        IDevice device, Tensor tensor, int rows, int columns,
        [CallerArgumentExpression(nameof(tensor))] string? name = null, bool allowInteger = false)
    {
        CheckMemory(device, tensor, name);
        if (tensor.Rows != rows || tensor.Columns != columns)
        {
            throw new ArgumentException(
                $"{name} must be [{rows}, {columns}], but is [{tensor.Rows}, {tensor.Columns}].", name);
        }

        if (!allowInteger && tensor.DType == DType.I32)
        {
            throw new ArgumentException($"{name} must have a float dtype, but is {tensor.DType}.", name);
        }
    }

    private static string Describe(Tensor tensor) =>
        $"[{tensor.Rows}, {tensor.Columns}] {tensor.DType}, stride {tensor.RowStride}, offset {tensor.OffsetBytes}";
}
