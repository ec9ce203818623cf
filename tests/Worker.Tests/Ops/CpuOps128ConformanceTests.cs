using TensorParallel.Worker.Devices;
using TensorParallel.Worker.Ops.Cpu;
using Xunit;

namespace TensorParallel.Worker.Tests.Ops;

/// <summary>128-bit vectors.</summary>
public sealed class CpuOps128ConformanceTests : OpsConformance
{
    public CpuOps128ConformanceTests(ITestOutputHelper output)
        : this(output, new CpuDevice("cpu:0", threads: 1, poison: true))
    {
    }

    private CpuOps128ConformanceTests(ITestOutputHelper output, CpuDevice device)
        : base(output, device, new CpuOps(device, CpuVectorWidth.Bits128))
    {
    }
}
