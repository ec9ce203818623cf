using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Worker.Devices;
using TensorParallel.Worker.Ops.Cuda;
using TensorParallel.Worker.Tests.Ops;
using Xunit;

namespace TensorParallel.Worker.Gpu.Tests.Ops;

/// <summary>bf16 activations at any alignment, with caches of other dtypes: the plain kernels.</summary>
public sealed class CudaOpsUnalignedConformanceTests : OpsConformance
{
    public CudaOpsUnalignedConformanceTests(ITestOutputHelper output)
        : this(output, Gpu.Open())
    {
    }

    private CudaOpsUnalignedConformanceTests(ITestOutputHelper output, CudaDevice device)
        : base(output, device, new CudaOps(device))
    {
    }

    protected override DType Activation => DType.BF16;
}
