using TensorParallel.Worker.Devices;
using TensorParallel.Worker.Tests.Cuda;
using Xunit;

namespace TensorParallel.Worker.Tests.Devices;

[Collection(FakeDriver.OneAtATime)]
public sealed class EvictionTests
{
    [Fact]
    public void On_the_processor_contents_come_back()
    {
        using var device = new CpuDevice("cpu:0", 1, memoryBudgetBytes: 64 << 20, poison: true);
        EvictionCases.ContentsComeBack(device);
    }

    [Fact]
    public void On_a_driver_with_late_copies_contents_come_back_to_the_same_addresses()
    {
        using var device = FakeDriver.Open(evictable: true);
        var buffer = device.Allocate(5 << 20, MemoryPurpose.Weights);
        var address = buffer.Address;
        device.Evict();
        device.Restore();
        Assert.Equal(address, buffer.Address);
        buffer.Dispose();
        EvictionCases.ContentsComeBack(device);
    }

    [Fact]
    public void Weights_are_copied_to_pinned_memory_once()
    {
        using var device = FakeDriver.Open(evictable: true);
        var pinned = device.Memory().Pinned;
        var weights = device.Allocate(3 << 20, MemoryPurpose.Weights);
        device.Allocate(9 << 20, MemoryPurpose.KvCache);
        Assert.Equal(new MovedMemory(12 << 20, 3 << 20), device.Evict());
        Assert.Equal(pinned + (3 << 20), device.Memory().Pinned);
        Assert.Equal(new MovedMemory(12 << 20, 3 << 20), device.Restore());
        Assert.Equal(new MovedMemory(12 << 20, 0), device.Evict());
        Assert.Equal(new MovedMemory(0, 0), device.Evict());
        device.Restore();
        var more = device.Allocate(1 << 20, MemoryPurpose.Weights);
        Assert.Equal(new MovedMemory(13 << 20, 4 << 20), device.Evict());
        Assert.Equal(pinned + (4 << 20), device.Memory().Pinned);
        weights.Dispose();
        more.Dispose();
        Assert.Equal(pinned, device.Memory().Pinned);
    }

    [Fact]
    public void A_device_that_was_not_opened_for_it_says_so()
    {
        using var device = FakeDriver.Open();
        Assert.Contains("cuda:0", Assert.Throws<NotSupportedException>(() => device.Evict()).Message, StringComparison.Ordinal);
        Assert.Throws<NotSupportedException>(() => device.Restore());
    }

    [Fact]
    public void Memory_that_others_took_meanwhile_is_missing_with_numbers()
    {
        using var device = FakeDriver.Open(evictable: true);
        device.Allocate(100 << 20, MemoryPurpose.KvCache);
        device.Evict();
        using var other = new CudaDevice(0);
        var others = other.Allocate(device.Memory().Free - (50 << 20), MemoryPurpose.Staging);
        var error = Assert.Throws<DeviceMemoryException>(() => device.Restore());
        Assert.Contains("104,857,600 bytes wanted for KvCache", error.Message, StringComparison.Ordinal);
        Assert.Contains("52,428,800 missing", error.Message, StringComparison.Ordinal);
        others.Dispose();
    }

    [Fact]
    public void A_model_of_any_size_can_be_placed_up_to_the_last_piece()
    {
        using var device = FakeDriver.Open(evictable: true);
        var free = device.Memory().Free;
        var buffers = new List<DeviceBuffer>();
        for (var i = 0; i < 100; i++)
        {
            buffers.Add(device.Allocate(8192 + i, MemoryPurpose.Weights));
        }

        // A hundred small buffers share one piece of 2 MiB.
        Assert.Equal(free - (2 << 20), device.Memory().Free);
        Assert.Equal(100, buffers.Select(buffer => buffer.Address).Distinct().Count());
        Assert.All(buffers, buffer => Assert.Equal(0, buffer.Address % 256));
        Assert.Throws<DeviceMemoryException>(() => device.Allocate(free, MemoryPurpose.Weights));
        buffers.ForEach(buffer => buffer.Dispose());
        Assert.Equal(free, device.Memory().Free);
    }
}
