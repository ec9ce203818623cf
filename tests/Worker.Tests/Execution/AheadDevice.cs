using TensorParallel.Worker.Devices;

namespace TensorParallel.Worker.Tests.Execution;

/// <summary>
/// A device as it is, but with repeated work of the test's choice, and with late copies that look unfinished until they are read.
/// </summary>
internal sealed class AheadDevice(IDevice inner, Func<IRepeatedWork> repeatWork) : IDevice
{
    public string Name => inner.Name;

    public DeviceBuffer Allocate(long bytes, MemoryPurpose purpose) => inner.Allocate(bytes, purpose);

    public void CopyToDevice(ReadOnlySpan<byte> source, DeviceBuffer target, long offset) =>
        inner.CopyToDevice(source, target, offset);

    public void CopyToHost(DeviceBuffer source, long offset, Span<byte> target) => inner.CopyToHost(source, offset, target);

    public IPendingCopy CopyToHostLater(DeviceBuffer source, long offset, int bytes) =>
        new LateCopy(inner.CopyToHostLater(source, offset, bytes));

    public void Copy(DeviceBuffer source, long sourceOffset, DeviceBuffer target, long targetOffset, long bytes) =>
        inner.Copy(source, sourceOffset, target, targetOffset, bytes);

    public IRepeatedWork RepeatWork() => repeatWork();

    public void Clear(DeviceBuffer target, long offset, long bytes) => inner.Clear(target, offset, bytes);

    public void Synchronize() => inner.Synchronize();

    public IReadOnlyList<MemoryUse> MemoryUse() => inner.MemoryUse();

    public void ResetPeaks() => inner.ResetPeaks();

    public DeviceMemory Memory() => inner.Memory();

    public MovedMemory Evict() => inner.Evict();

    public MovedMemory Restore() => inner.Restore();

    public void Dispose() => inner.Dispose();

    private sealed class LateCopy(IPendingCopy copy) : IPendingCopy
    {
        public bool IsDone => false;

        public void Wait() => copy.Wait();

        public ReadOnlySpan<byte> Read() => copy.Read();
    }
}
