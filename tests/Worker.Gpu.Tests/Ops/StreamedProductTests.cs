using TensorParallel.Protocol.Architectures;
using TensorParallel.Protocol.Checkpoints;
using TensorParallel.TestKit.ReferenceOps;
using TensorParallel.Worker.Devices;
using TensorParallel.Worker.Ops.Cuda;
using TensorParallel.Worker.Tests.Ops;
using Xunit;

namespace TensorParallel.Worker.Gpu.Tests.Ops;

/// <summary>gemm_stream.cu: every room for rows, ring and number of parts, odd ends, activations, chains. Hopper only.</summary>
public sealed class StreamedProductTests : IDisposable
{
    private readonly CudaDevice _device = Gpu.Open();
    private readonly CudaOps _ops;
    private readonly ProductCases _cases;

    public StreamedProductTests(ITestOutputHelper output)
    {
        _ops = new CudaOps(_device) { StreamsProducts = true };
        _cases = new ProductCases(_device, _ops, output);
        Assert.SkipUnless(StreamShape.Takes(1, _device.Capability), "gemm_stream.cu is for compute capability 9.0.");
    }

    public void Dispose()
    {
        _ops.Dispose();
        _device.Dispose();
    }

    [Theory]
    [InlineData(DType.BF16)]
    [InlineData(DType.F16)]
    public void Odd_sizes_match(DType dtype)
    {
        foreach (var tokens in (int[])[1, 7, 16, 17, 31, 32, 33, 50, 63, 64])
        {
            _cases.Multiply(dtype, dtype, tokens, _cases.Random.Next(1, 700), 8 * _cases.Random.Next(1, 200));
            _cases.Multiply(dtype, DType.F32, tokens, _cases.Random.Next(1, 300), 8 * _cases.Random.Next(1, 60));
        }

        foreach (var (rows, columns) in ((int, int)[])[(1, 8), (127, 64), (128, 72), (129, 2048), (4300, 512), (17200, 136)])
        {
            _cases.Multiply(dtype, dtype, _cases.Random.Next(1, 65), rows, columns);
        }
    }

    /// <summary>Rings of both sizes, that go round and that do not, and clusters of every size with unequal shares of K.</summary>
    [Fact]
    public void Every_cut_matches()
    {
        foreach (var shape in StreamShape.All())
        {
            for (var parts = 1; parts <= 8; parts++)
            {
                _ops.StreamCut = (shape.Stages, parts);
                _cases.Multiply(DType.BF16, DType.BF16, shape.Rows - _cases.Random.Next(0, shape.Rows / 2), _cases.Random.Next(1, 300), 64 * parts);
                _cases.Multiply(DType.BF16, DType.BF16, shape.Rows, _cases.Random.Next(1, 300), (64 * parts * _cases.Random.Next(3, 12)) + (8 * _cases.Random.Next(0, 8)));
                Gate(DType.BF16, ActivationKind.Silu, shape.Rows - _cases.Random.Next(0, 9), _cases.Random.Next(1, 150), (64 * parts) + (8 * _cases.Random.Next(0, 40)));
            }
        }
    }

    [Theory]
    [InlineData(DType.BF16)]
    [InlineData(DType.F16)]
    public void Activations_match(DType dtype)
    {
        foreach (var kind in Enum.GetValues<ActivationKind>())
        {
            foreach (var tokens in (int[])[3, 17, 40, 64])
            {
                Gate(dtype, kind, tokens, _cases.Random.Next(1, 400), 8 * _cases.Random.Next(1, 100));
            }
        }
    }

    /// <summary>Launches in a chain, each fed by the last, with rings that are full before the predecessor has ended.</summary>
    [Fact]
    public void Chains_of_early_launches_see_their_predecessors() => _cases.Chain(tokens: 48, links: 30);

    /// <summary>The same product again and again, of weights larger than the second-level cache: bits repeat.</summary>
    [Fact]
    public void Bits_repeat()
    {
        var (weight, x) = (_cases.Tensor(DType.BF16, 9000, 4096, 1), _cases.Tensor(DType.BF16, 64, 4096, 1));
        var first = new TestTensor(_device, DType.BF16, 64, 9000, 0, null);
        _ops.MatMul(x.Tensor, weight.Tensor, null, first.Tensor);
        for (var round = 0; round < 20; round++)
        {
            var again = new TestTensor(_device, DType.BF16, 64, 9000, 0, null);
            _ops.MatMul(x.Tensor, weight.Tensor, null, again.Tensor);
            Assert.Equal(first.Values.Cast<double>(), again.Values.Cast<double>());
        }
    }

    private void Gate(DType dtype, ActivationKind kind, int tokens, int columns, int inner)
    {
        var x = _cases.Tensor(dtype, tokens, inner, 2, padding: 8 * _cases.Random.Next(0, 3));
        var weight = _cases.Tensor(dtype, 2 * columns, inner, 0.2);
        var bias = _cases.Random.Next(2) == 0 ? null : _cases.Tensor(dtype, 1, 2 * columns, 2);
        var fused = new TestTensor(_device, dtype, tokens, 2 * columns, 0, null);
        var output = new TestTensor(_device, dtype, tokens, columns, _cases.Random.Next(0, 9), null);
        _ops.MatMulGated(x.Tensor, weight.Tensor, bias?.Tensor, kind, fused.Tensor, output.Tensor);
        var (product, magnitude) = ReferenceMatMul.Run(x.Values, weight.Values, bias?.Values);
        var (gate, up) = (new double[tokens, columns], new double[tokens, columns]);
        for (var t = 0; t < tokens; t++)
        {
            for (var n = 0; n < columns; n++)
            {
                (gate[t, n], up[t, n]) = (product[t, n], product[t, columns + n]);
            }
        }

        var expected = ReferenceRows.GatedActivation(gate, up, kind);
        double Error(int t, int n) => 3e-6 * magnitude[t, n];
        output.AssertClose(
            expected,
            (t, n) => (1.2 * Error(t, n) * (Math.Abs(up[t, n]) + Error(t, columns + n))) + ((Math.Abs(gate[t, n]) + 1e-6) * Error(t, columns + n))
                + ((1e-6 + ProductCases.Rounding(dtype)) * Math.Abs(expected[t, n])) + 1e-7,
            $"{kind} {dtype}, T {tokens} I {columns} K {inner}, bias {bias is not null}, cut {_ops.StreamCut}");
    }
}
