using TensorParallel.Worker.Devices;
using TensorParallel.Worker.Ops.Cuda;
using TensorParallel.Worker.Tests.Ops;

namespace TensorParallel.Worker.Gpu.Tests.Ops;

/// <summary>Random weights, the reading rate and points in time on a GPU: the processor's bits.</summary>
public sealed class CudaMeasuringOpsTests : MeasuringConformance
{
    public CudaMeasuringOpsTests()
        : this(Gpu.Open())
    {
    }

    private CudaMeasuringOpsTests(CudaDevice device)
        : base(device, new CudaMeasuringOps(device))
    {
    }
}
