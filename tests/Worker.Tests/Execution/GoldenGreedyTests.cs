using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Protocol.Parallel;
using Xunit;

namespace TensorParallel.Worker.Tests.Execution;

/// <summary>
/// Free-running: every token stays on the ranks and is continued with; the sequence must be the reference's.
/// </summary>
public class GoldenGreedyTests
{
    [Theory]
    [MemberData(nameof(GoldenLogitTests.Cases), MemberType = typeof(GoldenLogitTests))]
    public void GreedyTokensAreTheReferences(string family, int ranks, bool useDeviceMap, DType dtype) =>
        GoldenGreedy.Check(family, ranks, useDeviceMap, dtype, DeviceKinds.Cpu);
}
