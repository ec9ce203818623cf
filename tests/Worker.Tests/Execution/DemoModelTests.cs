using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Protocol.Parallel;
using Xunit;

namespace TensorParallel.Worker.Tests.Execution;

/// <summary>The trained demo model against its recorded answers.</summary>
public class DemoModelTests
{
    [Theory]
    [InlineData(1, false, DType.F32)]
    [InlineData(3, false, DType.F32)]
    [InlineData(2, false, DType.BF16)]
    [InlineData(4, true, DType.BF16)]
    public void GreedyTokensAndLogProbabilitiesAreTheReferences(int ranks, bool useDeviceMap, DType dtype) =>
        DemoModelAnswers.Check(ranks, useDeviceMap, dtype, DeviceKinds.Cpu);
}
