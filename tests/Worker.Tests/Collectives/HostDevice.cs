using System.Runtime.InteropServices;
using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Worker.Devices;

namespace TensorParallel.Worker.Tests.Collectives;

/// <summary>
/// Host memory as a device, for tests that need tensors but no operations. Fresh memory is poisoned with NaN bytes.
/// </summary>
internal sealed unsafe class HostDevice(string name = "cpu:test") : IDevice
{
    private readonly List<HostBuffer> _buffers = [];

    public string Name => name;

    public DeviceBuffer Allocate(long bytes, MemoryPurpose purpose)
    {
        var buffer = new HostBuffer(bytes, purpose);
        new Span<byte>((void*)buffer.Address, checked((int)bytes)).Fill(0xFF);
        _buffers.Add(buffer);
        return buffer;
    }

    public void CopyToDevice(ReadOnlySpan<byte> source, DeviceBuffer target, long offset) =>
        source.CopyTo(new Span<byte>((void*)(target.Address + (nint)offset), checked((int)(target.Bytes - offset))));

    public void CopyToHost(DeviceBuffer source, long offset, Span<byte> target) =>
        new ReadOnlySpan<byte>((void*)(source.Address + (nint)offset), checked((int)(source.Bytes - offset)))
            [..target.Length].CopyTo(target);

    public void Copy(DeviceBuffer source, long sourceOffset, DeviceBuffer target, long targetOffset, long bytes) =>
        CopyToDevice(
            new ReadOnlySpan<byte>((void*)(source.Address + (nint)sourceOffset), checked((int)bytes)), target, targetOffset);

    public void Clear(DeviceBuffer target, long offset, long bytes) =>
        new Span<byte>((void*)(target.Address + (nint)offset), checked((int)bytes)).Clear();

    public void Synchronize()
    {
    }

    public IReadOnlyList<MemoryUse> MemoryUse() => [];

    public void ResetPeaks()
    {
    }

    public DeviceMemory Memory() => default;

    public void Dispose() => _buffers.ForEach(b => b.Dispose());

    /// <summary>
    /// A tensor with gaps between its rows and before its first element when <paramref name="gap"/> is above 0.
    /// </summary>
    public Tensor Tensor(DType dtype, int rows, int columns, int gap = 0)
    {
        var stride = columns + gap;
        var element = dtype.SizeInBytes();
        var buffer = Allocate(Math.Max(64, (((long)rows * stride) + gap) * element), MemoryPurpose.Workspace);
        return new Tensor(buffer, (long)gap * element, dtype, rows, columns, stride);
    }

    /// <summary>Row-major bytes of a tensor, without its gaps.</summary>
    public static byte[] Bytes(Tensor tensor)
    {
        var row = tensor.Columns * tensor.DType.SizeInBytes();
        var bytes = new byte[tensor.Rows * row];
        for (var r = 0; r < tensor.Rows; r++)
        {
            RowBytes(tensor, r).CopyTo(bytes.AsSpan(r * row));
        }

        return bytes;
    }

    /// <summary>Overwrites a tensor; its gaps stay as they are.</summary>
    public static void Fill(Tensor tensor, ReadOnlySpan<byte> bytes)
    {
        var row = tensor.Columns * tensor.DType.SizeInBytes();
        for (var r = 0; r < tensor.Rows; r++)
        {
            bytes.Slice(r * row, row).CopyTo(RowBytes(tensor, r));
        }
    }

    /// <summary>Overwrites an F32 tensor.</summary>
    public static void Fill(Tensor tensor, ReadOnlySpan<float> values) => Fill(tensor, MemoryMarshal.AsBytes(values));

    /// <summary>Whether every byte outside the tensor's elements is still poisoned.</summary>
    public static bool GapsAreUntouched(Tensor tensor)
    {
        var untouched = new ReadOnlySpan<byte>((void*)tensor.Buffer.Address, (int)tensor.Buffer.Bytes).ToArray();
        for (var r = 0; r < tensor.Rows; r++)
        {
            var start = (int)(tensor.OffsetBytes + ((long)r * tensor.RowStride * tensor.DType.SizeInBytes()));
            untouched.AsSpan(start, tensor.Columns * tensor.DType.SizeInBytes()).Fill(0xFF);
        }

        return !untouched.AsSpan().ContainsAnyExcept((byte)0xFF);
    }

    private static Span<byte> RowBytes(Tensor tensor, int row)
    {
        var element = tensor.DType.SizeInBytes();
        return new Span<byte>(
            (byte*)tensor.Address + ((long)row * tensor.RowStride * element), tensor.Columns * element);
    }

    private sealed class HostBuffer(long bytes, MemoryPurpose purpose) : DeviceBuffer(bytes, purpose)
    {
        private void* _memory = NativeMemory.AlignedAlloc((nuint)bytes, 64);

        public override nint Address => (nint)_memory;

        public override void Dispose()
        {
            NativeMemory.AlignedFree(_memory);
            _memory = null;
        }
    }
}
