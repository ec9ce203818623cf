using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Worker.Devices;

namespace TensorParallel.Worker.Tests.Collectives;

/// <summary>Poisoned tensors on any device, and what is in them.</summary>
internal sealed class DeviceTensors(IDevice device)
{
    /// <summary>
    /// A tensor with gaps between its rows and before its first element when <paramref name="gap"/> is above 0.
    /// </summary>
    public Tensor Tensor(DType dtype, int rows, int columns, int gap = 0)
    {
        var stride = columns + gap;
        var element = dtype.SizeInBytes();
        var bytes = Math.Max(64, (((long)rows * stride) + gap) * element);
        var buffer = device.Allocate(bytes, MemoryPurpose.Workspace);
        device.CopyToDevice(Enumerable.Repeat((byte)0xFF, checked((int)bytes)).ToArray(), buffer, 0);
        return new Tensor(buffer, (long)gap * element, dtype, rows, columns, stride);
    }

    /// <summary>Row-major bytes of a tensor, without its gaps, and whether every byte outside it is still poisoned.</summary>
    public (byte[] Bytes, bool GapsAreUntouched) Read(Tensor tensor)
    {
        var memory = new byte[tensor.Buffer.Bytes];
        device.CopyToHost(tensor.Buffer, 0, memory);
        var row = tensor.Columns * tensor.DType.SizeInBytes();
        var bytes = new byte[tensor.Rows * row];
        for (var r = 0; r < tensor.Rows; r++)
        {
            var inside = memory.AsSpan((int)tensor.RowsAt(r, 1).OffsetBytes, row);
            inside.CopyTo(bytes.AsSpan(r * row));
            inside.Fill(0xFF);
        }

        return (bytes, !memory.AsSpan().ContainsAnyExcept((byte)0xFF));
    }

    /// <summary>Overwrites a fresh tensor; its gaps stay poisoned.</summary>
    public void Fill(Tensor tensor, ReadOnlySpan<byte> bytes)
    {
        var memory = Enumerable.Repeat((byte)0xFF, checked((int)tensor.Buffer.Bytes)).ToArray();
        var row = tensor.Columns * tensor.DType.SizeInBytes();
        for (var r = 0; r < tensor.Rows; r++)
        {
            bytes.Slice(r * row, row).CopyTo(memory.AsSpan((int)tensor.RowsAt(r, 1).OffsetBytes));
        }

        device.CopyToDevice(memory, tensor.Buffer, 0);
    }
}
