using TensorParallel.Protocol.Parallel;
using TensorParallel.Worker.Devices;
using TensorParallel.Worker.Native;
using TensorParallel.Worker.Ops;
using TensorParallel.Worker.Tests.Cuda;
using Xunit;

namespace TensorParallel.Worker.Tests.Ops;

[Collection(FakeDriver.OneAtATime)]
public sealed class DeviceBackendCatalogTests
{
    [Fact]
    public void A_processor_opens_and_needs_no_waking()
    {
        using var backend = DeviceBackendCatalog.Open(new DeviceOpening("cpu:3", 1));
        Assert.Equal("cpu:3", backend.Device.Name);
        Assert.Null(backend.Warning);
        Assert.Empty(DeviceBackendCatalog.WakingSteps("cpu:3"));
    }

    [Fact]
    public void A_processor_keeps_to_its_budget()
    {
        using var backend = DeviceBackendCatalog.Open(new DeviceOpening("cpu:0", 1, MemoryBudgetBytes: 1000));
        var error = Assert.Throws<DeviceMemoryException>(() => backend.Device.Allocate(1001, MemoryPurpose.Weights));
        Assert.Contains("of a budget of 1,000", error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("tpu:0", "This worker cannot open the device tpu:0: it knows cpu:N, cuda:N.")]
    [InlineData("", "it knows cpu:N, cuda:N.")]
    [InlineData("cuda", "cuda is no device: GPUs are named cuda:0, cuda:1 and so on.")]
    [InlineData("cuda:", "cuda: is no device")]
    [InlineData("cuda:one", "cuda:one is no device")]
    [InlineData("cuda:-1", "cuda:-1 is no device")]
    public void A_name_that_is_none_is_refused(string name, string expected)
    {
        var error = Assert.Throws<PlanException>(() => DeviceBackendCatalog.Open(new DeviceOpening(name, 1)));
        Assert.Contains(expected, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_gpu_that_is_not_there_is_refused_with_those_that_are()
    {
        FakeDriver.Open().Dispose();
        var error = Assert.Throws<NativeException>(() => DeviceBackendCatalog.Open(new DeviceOpening("cuda:7", 1)));
        Assert.Equal("cuda:7 does not exist: the driver shows 2 GPU(s), 0 to 1.", error.Message);
    }

    [Fact]
    public void A_gpu_is_woken_by_driver_and_context()
    {
        FakeDriver.Open().Dispose();
        var steps = DeviceBackendCatalog.WakingSteps("cuda:1");
        Assert.Equal(["driver", "context"], steps.Select(step => step.Name));
        Assert.All(steps, step => step.Step());
        Assert.Throws<NativeException>(() => DeviceBackendCatalog.WakingSteps("cuda:5")[1].Step());
    }
}
