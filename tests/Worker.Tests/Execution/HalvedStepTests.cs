using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Protocol.Parallel;
using Xunit;

namespace TensorParallel.Worker.Tests.Execution;

public sealed class HalvedStepTests
{
    [Theory]
    [InlineData(2, DType.F32)]
    [InlineData(3, DType.F32)]
    [InlineData(2, DType.BF16)]
    public void Halves_give_the_logits_of_the_whole(int ranks, DType dtype) =>
        HalvedStepCases.Check(ranks, dtype, tolerance: 2e-6f, DeviceKinds.Cpu);
}
