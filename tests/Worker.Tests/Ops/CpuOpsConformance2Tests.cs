using TensorParallel.Worker.Devices;
using TensorParallel.Worker.Ops.Cpu;
using Xunit;

namespace TensorParallel.Worker.Tests.Ops;

/// <summary>The widest vectors, two threads.</summary>
public sealed class CpuOpsConformance2Tests : OpsConformance
{
    public CpuOpsConformance2Tests(ITestOutputHelper output)
        : this(output, new CpuDevice("cpu:0", threads: 2, poison: true))
    {
    }

    private CpuOpsConformance2Tests(ITestOutputHelper output, CpuDevice device)
        : base(output, device, new CpuOps(device))
    {
    }
}
