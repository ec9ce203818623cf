using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Worker.Devices;
using Xunit;

namespace TensorParallel.Worker.Tests.Devices;

public sealed class CpuDeviceTests
{
    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(4097)]
    [InlineData(5_000_001)]
    public void Memory_is_aligned_and_copies_come_back(int bytes)
    {
        using var device = new CpuDevice("cpu:3", 1);
        var buffer = device.Allocate(bytes, MemoryPurpose.Weights);
        Assert.Equal(0, buffer.Address % (bytes >= 4096 ? 4096 : 64));
        var source = new byte[bytes];
        Random.Shared.NextBytes(source);
        device.CopyToDevice(source, buffer, 0);
        var target = new byte[bytes];
        device.CopyToHost(buffer, 0, target);
        Assert.Equal(source, target);
        Assert.Equal("cpu:3", device.Name);
    }

    [Fact]
    public void Ranges_are_copied_and_cleared_in_place()
    {
        using var device = new CpuDevice("cpu:0", 1, poison: true);
        var buffer = device.Allocate(10, MemoryPurpose.Staging);
        device.CopyToDevice([1, 2, 3], buffer, 2);
        device.Clear(buffer, 4, 3);
        var bytes = new byte[10];
        device.CopyToHost(buffer, 0, bytes);
        Assert.Equal([255, 255, 1, 2, 0, 0, 0, 255, 255, 255], bytes);
    }

    [Fact]
    public void Ranges_outside_the_buffer_are_refused()
    {
        using var device = new CpuDevice("cpu:0", 1);
        using var other = new CpuDevice("cpu:1", 1);
        var buffer = device.Allocate(10, MemoryPurpose.Staging);
        Assert.Throws<ArgumentOutOfRangeException>(() => device.CopyToDevice(new byte[3], buffer, 8));
        Assert.Throws<ArgumentOutOfRangeException>(() => device.CopyToHost(buffer, -1, new byte[3]));
        Assert.Throws<ArgumentOutOfRangeException>(() => device.Clear(buffer, 0, 11));
        Assert.Throws<ArgumentOutOfRangeException>(() => device.Clear(buffer, 0, -1));
        Assert.Throws<ArgumentOutOfRangeException>(() => device.Clear(buffer, long.MaxValue, 1));
        Assert.Throws<ArgumentException>(() => other.Clear(buffer, 0, 1));
        Assert.Throws<ArgumentOutOfRangeException>(() => device.Allocate(-1, MemoryPurpose.Staging));
    }

    [Fact]
    public void Use_is_counted_by_purpose()
    {
        using var device = new CpuDevice("cpu:0", 1);
        var first = device.Allocate(100, MemoryPurpose.Weights);
        var second = device.Allocate(50, MemoryPurpose.Weights);
        first.Dispose();
        first.Dispose();
        device.Allocate(7, MemoryPurpose.KvCache);
        Assert.Equal(
            [
                new MemoryUse(MemoryPurpose.Weights, 50, 150), new MemoryUse(MemoryPurpose.KvCache, 7, 7),
                new MemoryUse(MemoryPurpose.Workspace, 0, 0), new MemoryUse(MemoryPurpose.Staging, 0, 0),
                new MemoryUse(MemoryPurpose.HostWeights, 0, 0),
                new MemoryUse(MemoryPurpose.Scratch, 0, 0),
            ],
            device.MemoryUse());
        Assert.Throws<ObjectDisposedException>(() => first.Address);
        Assert.NotEqual(0, second.Address);
    }

    [Fact]
    public void The_budget_holds_and_the_message_has_the_numbers()
    {
        using var device = new CpuDevice("cpu:2", 1, memoryBudgetBytes: 1000);
        var first = device.Allocate(600, MemoryPurpose.Weights);
        var exception = Assert.Throws<DeviceMemoryException>(() => device.Allocate(401, MemoryPurpose.KvCache));
        Assert.Contains("cpu:2", exception.Message, StringComparison.Ordinal);
        Assert.Contains("401 bytes wanted for KvCache, 400 free of a budget of 1,000", exception.Message,
            StringComparison.Ordinal);
        device.Allocate(400, MemoryPurpose.KvCache);
        device.Allocate(5000, MemoryPurpose.Scratch);
        first.Dispose();
        device.Allocate(600, MemoryPurpose.Weights);
    }

    [Fact]
    public void More_than_the_machine_has_is_refused()
    {
        using var device = new CpuDevice("cpu:0", 1);
        Assert.Throws<DeviceMemoryException>(() => device.Allocate(1L << 60, MemoryPurpose.Weights));
    }

    [Fact]
    public void Disposing_the_device_disposes_its_buffers()
    {
        var device = new CpuDevice("cpu:0", 2);
        var tensor = ((IDevice)device).AllocateTensor(DType.BF16, 3, 5, MemoryPurpose.Weights);
        Assert.Equal(30, tensor.Buffer.Bytes);
        device.Dispose();
        device.Dispose();
        Assert.Throws<ObjectDisposedException>(() => tensor.Buffer.Address);
        Assert.Throws<ObjectDisposedException>(() => device.Allocate(1, MemoryPurpose.Weights));
        Assert.All(device.MemoryUse(), u => Assert.Equal(0, u.Current));
    }
}
