using TensorParallel.Worker.Devices;
using TensorParallel.Worker.Ops.Cpu;
using Xunit;

namespace TensorParallel.Worker.Tests.Ops;

/// <summary>256-bit vectors.</summary>
public sealed class CpuOps256ConformanceTests : OpsConformance
{
    public CpuOps256ConformanceTests(ITestOutputHelper output)
        : this(output, new CpuDevice("cpu:0", threads: 2, poison: true))
    {
    }

    private CpuOps256ConformanceTests(ITestOutputHelper output, CpuDevice device)
        : base(output, device, new CpuOps(device, CpuVectorWidth.Bits256))
    {
    }
}
