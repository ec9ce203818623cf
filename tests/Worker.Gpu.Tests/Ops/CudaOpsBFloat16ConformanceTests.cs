using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Worker.Devices;
using TensorParallel.Worker.Ops;
using TensorParallel.Worker.Ops.Cuda;
using TensorParallel.Worker.Tests.Ops;
using Xunit;

namespace TensorParallel.Worker.Gpu.Tests.Ops;

/// <summary>The conformance cases with activations and cache of <see cref="DType.BF16"/>, rows aligned: the tensor-core kernels.</summary>
public sealed class CudaOpsBFloat16ConformanceTests : OpsConformance
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

    protected override int NextPadding() => 8 * Random.Next(0, 3);

    protected override DType CacheDTypeFor(DType wanted) => Activation;

    [Theory]
    [InlineData(8)]
    [InlineData(40)]
    [InlineData(64)]
    [InlineData(72)]
    [InlineData(96)]
    [InlineData(112)]
    [InlineData(128)]
    [InlineData(136)]
    [InlineData(192)]
    [InlineData(256)]
    public void Every_size_of_head_works_alone_and_mixed(int headDim)
    {
        var heads = new HeadLayout(0, 8, 0, 2, 4, headDim);
        Attend(new PagedCase(heads, Activation, 16, (Random.Next(0, 300), 1)));
        Attend(new PagedCase(heads, Activation, 16, (Random.Next(0, 90), Random.Next(2, 70)), (33, 1), (0, 45)));
    }

    [Fact]
    public void Long_contexts_are_cut_into_parts()
    {
        Attend(new PagedCase(new HeadLayout(0, 8, 0, 2, 4, 64), Activation, 16, (4000, 1)));
        Attend(new PagedCase(new HeadLayout(0, 8, 0, 2, 4, 128), Activation, 32, (1500, 1), (7, 1), (2047, 1)));
        Attend(new PagedCase(new HeadLayout(0, 20, 0, 1, 20, 64), Activation, 16, (900, 1)));
        Attend(
            new PagedCase(new HeadLayout(6, 6, 1, 2, 4, 32), Activation, 16, (1200, 1)), new AttentionOptions(0.2f, 700, 20f));
        Attend(new PagedCase(new HeadLayout(0, 8, 0, 2, 4, 128), Activation, 16, (700, 150), (0, 200)));
    }
}
