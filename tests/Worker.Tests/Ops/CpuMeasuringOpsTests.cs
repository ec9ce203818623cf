using TensorParallel.Worker.Devices;
using TensorParallel.Worker.Ops;
using TensorParallel.Worker.Ops.Cpu;
using Xunit;

namespace TensorParallel.Worker.Tests.Ops;

public sealed class CpuMeasuringOpsTests : MeasuringConformance
{
    public CpuMeasuringOpsTests()
        : this(new CpuDevice("cpu:0", 2, poison: true))
    {
    }

    private CpuMeasuringOpsTests(CpuDevice device)
        : base(device, new CpuMeasuringOps(device))
    {
    }

    [Fact]
    public void KeysAreFnv1a()
    {
        Assert.Equal(0xCBF29CE484222325UL, RandomFill.KeyOf(""));
        Assert.Equal(0xAF63DC4C8601EC8CUL, RandomFill.KeyOf("a"));
        Assert.Equal(0x85944171F73967E8UL, RandomFill.KeyOf("foobar"));
    }
}
