using TensorParallel.Worker.Devices;
using TensorParallel.Worker.Tests.Devices;
using Xunit;

namespace TensorParallel.Worker.Gpu.Tests.Devices;

public sealed class CudaEvictionTests
{
    [Fact]
    public void Contents_come_back_to_the_same_addresses()
    {
        using var device = Open();
        var buffer = device.Allocate(5 << 20, MemoryPurpose.Weights);
        var address = buffer.Address;
        device.Evict();
        device.Restore();
        Assert.Equal(address, buffer.Address);
        buffer.Dispose();
        EvictionCases.ContentsComeBack(device, slack: 4 << 20); // two pages of a driver
    }

    [Fact]
    public void A_graph_recorded_before_an_eviction_works_after_it()
    {
        using var device = Open();
        var (weights, copy) = (device.Allocate(4 << 20, MemoryPurpose.Weights), device.Allocate(4 << 20, MemoryPurpose.Workspace));
        var bytes = new byte[4 << 20];
        new Random(1).NextBytes(bytes);
        device.CopyToDevice(bytes, weights, 0);
        using var graph = CudaGraph.Capture(device, () => device.Copy(weights, 0, copy, 0, bytes.Length));
        for (var round = 0; round < 3; round++)
        {
            device.Clear(copy, 0, bytes.Length);
            graph.Replay();
            var read = new byte[bytes.Length];
            device.CopyToHost(copy, 0, read);
            Assert.True(bytes.AsSpan().SequenceEqual(read), $"round {round}");
            device.Evict();
            device.Restore();
        }
    }

    [Fact]
    public void Twenty_evictions_of_a_gigabyte_leave_nothing_behind()
    {
        using var device = Open();

        // What driver and device keep for their own use after the first round is not counted: 2 MiB were seen.
        List<DeviceBuffer> Allocate() => [.. Enumerable.Range(0, 16).Select(_ => device.Allocate(64 << 20, MemoryPurpose.Weights))];
        var first = Allocate();
        device.Evict();
        device.Restore();
        first.ForEach(buffer => buffer.Dispose());
        device.Synchronize();
        var free = device.Memory().Free;
        var buffers = Allocate();
        buffers.ForEach(buffer => device.Clear(buffer, 0, buffer.Bytes));
        AssertFree(free - (1L << 30));
        for (var round = 0; round < 20; round++)
        {
            Assert.Equal(1L << 30, device.Evict().Device);
            AssertFree(free);
            device.Restore();
            AssertFree(free - (1L << 30));
        }

        buffers.ForEach(buffer => buffer.Dispose());
        AssertFree(free);

        // 20 rounds that each kept one of the driver's pages of 2 MiB would be 40 MiB.
        void AssertFree(long expected) => Assert.InRange(device.Memory().Free, expected - (8 << 20), expected + (8 << 20));
    }

    private static CudaDevice Open()
    {
        Gpu.Need(1);
        return new CudaDevice(0, poison: true, evictable: true);
    }
}
