using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Worker.Devices;
using TensorParallel.Worker.Ops.Cuda;
using Xunit;

namespace TensorParallel.Worker.Gpu.Tests.Ops;

/// <summary>The cases of <see cref="TensorCoreConformance"/> with <see cref="DType.F16"/>.</summary>
public sealed class CudaOpsFloat16ConformanceTests : TensorCoreConformance
{
    public CudaOpsFloat16ConformanceTests(ITestOutputHelper output)
        : this(output, Gpu.Open())
    {
    }

    private CudaOpsFloat16ConformanceTests(ITestOutputHelper output, CudaDevice device)
        : base(output, device, new CudaOps(device))
    {
    }

    protected override DType Activation => DType.F16;
}
