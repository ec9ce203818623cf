using TensorParallel.Worker.Devices;
using TensorParallel.Worker.Ops.Cpu;
using Xunit;

namespace TensorParallel.Worker.Tests.Ops;

/// <summary>The widest vectors, three threads.</summary>
public sealed class CpuOpsConformance3Tests : OpsConformance
{
    public CpuOpsConformance3Tests(ITestOutputHelper output)
        : this(output, new CpuDevice("cpu:0", threads: 3, poison: true))
    {
    }

    private CpuOpsConformance3Tests(ITestOutputHelper output, CpuDevice device)
        : base(output, device, new CpuOps(device))
    {
    }
}
