using System.Runtime.InteropServices;
using TensorParallel.Worker.Devices;

namespace TensorParallel.Benchmarks.Collectives;

/// <summary>Host memory as a device: just enough for tensors that only collectives touch.</summary>
internal sealed unsafe class PlainMemory : IDevice
{
    private readonly List<Block> _blocks = [];

    public string Name => "cpu:plain";

    public DeviceBuffer Allocate(long bytes, MemoryPurpose purpose)
    {
        var block = new Block(bytes, purpose);
        Clear(block, 0, bytes);
        _blocks.Add(block);
        return block;
    }

    public void CopyToDevice(ReadOnlySpan<byte> source, DeviceBuffer target, long offset) =>
        source.CopyTo(new Span<byte>((byte*)target.Address + offset, source.Length));

    public void CopyToHost(DeviceBuffer source, long offset, Span<byte> target) =>
        new ReadOnlySpan<byte>((byte*)source.Address + offset, target.Length).CopyTo(target);

    public void Clear(DeviceBuffer target, long offset, long bytes) =>
        NativeMemory.Clear((byte*)target.Address + offset, (nuint)bytes);

    public void Synchronize()
    {
    }

    public IReadOnlyList<MemoryUse> MemoryUse() => [];

    public void Dispose() => _blocks.ForEach(b => b.Dispose());

    private sealed class Block(long bytes, MemoryPurpose purpose) : DeviceBuffer(bytes, purpose)
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
