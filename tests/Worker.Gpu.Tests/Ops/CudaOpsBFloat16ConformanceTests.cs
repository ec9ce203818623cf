using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Worker.Devices;
using TensorParallel.Worker.Ops.Cuda;
using Xunit;

namespace TensorParallel.Worker.Gpu.Tests.Ops;

/// <summary>The cases of <see cref="TensorCoreConformance"/> with <see cref="DType.BF16"/>.</summary>
public sealed class CudaOpsBFloat16ConformanceTests : TensorCoreConformance
{
    public CudaOpsBFloat16ConformanceTests(ITestOutputHelper output)
        : this(output, Gpu.Open())
    {
    }

    private CudaOpsBFloat16ConformanceTests(ITestOutputHelper output, CudaDevice device)
        : base(output, device, new CudaOps(device))
    {
    }

    protected override DType Activation => DType.BF16;
}
