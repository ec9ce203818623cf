using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Protocol.Parallel;
using TensorParallel.Worker.Devices;
using TensorParallel.Worker.Tests.Execution;
using Xunit;

namespace TensorParallel.Worker.Gpu.Tests.Execution;

/// <summary>Models whose decode steps are recorded as graphs, evicted between sequences, on as many GPUs as there are.</summary>
public sealed class CudaEvictedModelTests
{
    [Theory]
    [InlineData(1, false, DType.F32)]
    [InlineData(1, false, DType.BF16)]
    [InlineData(2, false, DType.BF16)]
    [InlineData(2, true, DType.BF16)]
    [InlineData(4, false, DType.BF16)]
    public void A_model_that_comes_back_gives_the_same_tokens(int gpus, bool useDeviceMap, DType dtype)
    {
        Gpu.Need(gpus);
        EvictedModelCases.Check(gpus, useDeviceMap, dtype, DeviceKinds.Cuda, device =>
        {
            var uses = device.MemoryUse().ToDictionary(use => use.Purpose, use => use.Current);
            Assert.Equal(0, uses[MemoryPurpose.Weights]);
            Assert.Equal(0, uses[MemoryPurpose.KvCache]);
        });
    }
}
