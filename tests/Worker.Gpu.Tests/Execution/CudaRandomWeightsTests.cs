using TensorParallel.Protocol.Parallel;
using TensorParallel.Worker.Tests.Execution;
using Xunit;

namespace TensorParallel.Worker.Gpu.Tests.Execution;

/// <summary>A model of random weights is the processor's, on any number of GPUs.</summary>
public sealed class CudaRandomWeightsTests
{
    [Theory]
    [InlineData(1, false)]
    [InlineData(2, false)]
    [InlineData(2, true)]
    public void TokensAndLogitsAreTheProcessors(int gpus, bool useDeviceMap)
    {
        Gpu.Need(gpus);
        var (expected, reference) = RandomWeightsModel.Run(1, false);

        var (tokens, logits) = RandomWeightsModel.Run(gpus, useDeviceMap, DeviceKinds.Cuda);

        Assert.Equal(expected, tokens);
        for (var i = 0; i < reference.Length; i++)
        {
            LogitAssert.Close(reference[i], logits[i], tolerance: 1e-4f, $"row {i}");
        }
    }
}
