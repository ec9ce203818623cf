using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Protocol.Parallel;
using TensorParallel.Worker.Devices;
using Xunit;

namespace TensorParallel.Worker.Tests.Execution;

public sealed class EvictedModelTests
{
    [Theory]
    [InlineData(1, false, DType.F32)]
    [InlineData(2, false, DType.BF16)]
    [InlineData(2, true, DType.F32)]
    public void A_model_that_comes_back_gives_the_same_tokens(int ranks, bool useDeviceMap, DType dtype) =>
        EvictedModelCases.Check(ranks, useDeviceMap, dtype, DeviceKinds.Cpu, device =>
        {
            var uses = device.MemoryUse().ToDictionary(use => use.Purpose, use => use.Current);
            Assert.Equal(0, uses[MemoryPurpose.Weights]);
            Assert.Equal(0, uses[MemoryPurpose.KvCache]);
            Assert.NotEqual(0, uses[MemoryPurpose.Workspace]);
        });
}
