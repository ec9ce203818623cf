using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Worker.Devices;
using TensorParallel.Worker.Ops.Cuda;
using TensorParallel.Worker.Tests.Ops;
using Xunit;

namespace TensorParallel.Worker.Gpu.Tests.Ops;

/// <summary>The conformance cases with activations of <see cref="DType.F32"/>.</summary>
public sealed class CudaOpsFloat32ConformanceTests : OpsConformance
{
    public CudaOpsFloat32ConformanceTests(ITestOutputHelper output)
        : this(output, Gpu.Open())
    {
    }

    private CudaOpsFloat32ConformanceTests(ITestOutputHelper output, CudaDevice device)
        : base(output, device, new CudaOps(device))
    {
    }

    protected override DType Activation => DType.F32;
}
