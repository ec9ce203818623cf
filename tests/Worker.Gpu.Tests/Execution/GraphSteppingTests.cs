using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Protocol.Parallel;
using TensorParallel.Worker.Devices;
using TensorParallel.Worker.Tests.Execution;
using Xunit;

namespace TensorParallel.Worker.Gpu.Tests.Execution;

/// <summary>
/// Decode steps replayed as CUDA graphs, two ahead of the one waited for, against the same launches issued one by one: token for token.
/// </summary>
public sealed class GraphSteppingTests
{
    [Theory]
    [InlineData(1, false, DType.BF16, true, 1)]
    [InlineData(1, false, DType.F32, true, 1)]
    [InlineData(2, false, DType.BF16, false, 1)]
    [InlineData(2, false, DType.BF16, true, 1)]
    [InlineData(4, false, DType.F32, false, 1)]
    [InlineData(2, true, DType.BF16, true, 1)]
    [InlineData(2, true, DType.BF16, true, 2)]
    [InlineData(3, true, DType.F32, true, 3)]
    [InlineData(4, true, DType.BF16, true, 4)]
    public void Replayed_steps_give_the_tokens_of_issued_ones(int gpus, bool useDeviceMap, DType dtype, bool filters, int microBatches)
    {
        Gpu.Need(gpus);
        var captured = new CudaGraphs[gpus];
        SteppingCases.Check(
            gpus, useDeviceMap, dtype, DeviceKinds.Cuda,
            device => new AheadDevice(device, () => new IssuedEachTime()),
            device => new AheadDevice(device, () => captured[device.Name[^1] - '0'] = new CudaGraphs((CudaDevice)device)),
            filters, microBatches);
        Assert.All(captured, graphs => Assert.InRange(graphs.Captured, microBatches == 1 ? 4 : 2, 64));
    }

    [Fact]
    public void The_environments_word_decides_whether_graphs_are_recorded()
    {
        using var device = Gpu.Open();
        Assert.Equal(Environment.GetEnvironmentVariable("TP_CUDA_GRAPHS") != "0", device.RecordsGraphs);
        device.RecordsGraphs = false;
        using var plain = device.RepeatWork();
        Assert.False(plain.PrefersFewKeys);
        device.RecordsGraphs = true;
        using var recorded = device.RepeatWork();
        Assert.True(recorded.PrefersFewKeys);
    }
}
