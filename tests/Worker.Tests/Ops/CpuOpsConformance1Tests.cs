using TensorParallel.Worker.Devices;
using TensorParallel.Worker.Ops.Cpu;
using Xunit;

namespace TensorParallel.Worker.Tests.Ops;

/// <summary>The widest vectors, one thread.</summary>
public sealed class CpuOpsConformance1Tests : OpsConformance
{
    public CpuOpsConformance1Tests(ITestOutputHelper output)
        : this(output, new CpuDevice("cpu:0", threads: 1, poison: true))
    {
    }

    private CpuOpsConformance1Tests(ITestOutputHelper output, CpuDevice device)
        : base(output, device, new CpuOps(device))
    {
    }
}
