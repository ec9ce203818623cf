using TensorParallel.Worker.Devices;
using TensorParallel.Worker.Native;
using Xunit;

namespace TensorParallel.Worker.Tests.Cuda;

/// <summary>What is left on a device when something of it cannot be freed, or made.</summary>
[Collection(FakeDriver.OneAtATime)]
public sealed class CudaDisposalTests
{
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_buffer_that_cannot_be_freed_keeps_nothing_else_allocated(bool evictable)
    {
        using var observer = FakeDriver.Open();
        var before = (observer.FreeBytes, CudaPinnedMemory.TotalBytes, FakeDriver.LivingStreams);
        var device = FakeDriver.Open(evictable);
        var buffers = Enumerable.Range(0, 5).Select(_ => device.Allocate(1 << 20, MemoryPurpose.Workspace)).ToList();
        device.Allocate(3 << 20, MemoryPurpose.Weights);
        device.AllocateHost(4096);
        CudaDriver.Check(CudaDriver.cuMemFree((ulong)buffers[0].Address)); // the driver knows it no more

        var failed = Assert.Throws<NativeException>(device.Dispose);

        Assert.Contains("cuMemFree", failed.Message, StringComparison.Ordinal);
        Assert.Equal(before, (observer.FreeBytes, CudaPinnedMemory.TotalBytes, FakeDriver.LivingStreams));
        device.Dispose();
    }

    [Fact]
    public void A_copy_queue_that_cannot_be_made_leaves_no_stream()
    {
        using var device = FakeDriver.Open();
        var before = FakeDriver.LivingStreams;
        FakeDriver.FailNextEvent();

        Assert.Throws<NativeException>(() => device.OpenCopyQueue());

        Assert.Equal(before, FakeDriver.LivingStreams);
        device.OpenCopyQueue().Dispose();
        Assert.Equal(before, FakeDriver.LivingStreams);
    }
}
