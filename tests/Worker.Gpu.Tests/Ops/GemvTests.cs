using TensorParallel.Protocol.Checkpoints;
using TensorParallel.TestKit.ReferenceOps;
using TensorParallel.Worker.Devices;
using TensorParallel.Worker.Ops.Cuda;
using TensorParallel.Worker.Tests.Ops;
using Xunit;

namespace TensorParallel.Worker.Gpu.Tests.Ops;

/// <summary>Products of 1 to 16 rows, and cuBLASLt's beyond, at the aligned shapes that their fast kernels take.</summary>
public sealed class GemvTests : IDisposable
{
    private readonly CudaDevice _device = Gpu.Open();
    private readonly CudaOps _ops;
    private readonly Random _random;

    public GemvTests(ITestOutputHelper output)
    {
        _ops = new CudaOps(_device);
        var seed = Random.Shared.Next();
        output.WriteLine($"seed {seed}");
        _random = new Random(seed);
    }

    public void Dispose()
    {
        _ops.Dispose();
        _device.Dispose();
    }

    [Theory]
    [InlineData(DType.BF16)]
    [InlineData(DType.F16)]
    public void Every_row_count_and_odd_sizes_match(DType dtype)
    {
        for (var tokens = 1; tokens <= 20; tokens++)
        {
            Multiply(dtype, dtype, tokens, _random.Next(1, 400), 8 * _random.Next(1, 90));
        }

        // One and two rows: each number of weight rows a block, and ends of rows inside and at the end of a round of loads.
        for (var tokens = 1; tokens <= 2; tokens++)
        {
            foreach (var columns in (int[])[1024, 1032, 2048, 2056, 4096, 8 * _random.Next(256, 1300)])
            {
                Multiply(dtype, dtype, tokens, _random.Next(1, 400), columns);
            }
        }

        foreach (var (rows, columns) in ((int, int)[])[(1, 8), (16, 24), (17, 256), (133, 264), (1000, 2048), (4300, 40), (8500, 16)])
        {
            Multiply(dtype, DType.F32, _random.Next(1, 9), rows, columns);
            Multiply(dtype, dtype, _random.Next(9, 17), rows, columns);
            Multiply(dtype, DType.F32, _random.Next(17, 90), rows, columns);
        }
    }

    [Fact]
    public void Long_rows_match()
    {
        Multiply(DType.BF16, DType.BF16, 1, 41, 14336);
        Multiply(DType.F16, DType.F32, 2, 39, 14336 + 8);
        Multiply(DType.BF16, DType.BF16, 1, (128 * _device.Multiprocessors) + 3, 2048 + 40);
        Multiply(DType.BF16, DType.BF16, 16, 40, 14336);
        Multiply(DType.BF16, DType.F32, 3, 200, 4096);
    }

    /// <summary>Launches in a chain, each fed by the last: a kernel that starts too early reads what is not there yet.</summary>
    [Fact]
    public void Chains_of_early_launches_see_their_predecessors()
    {
        const int Size = 1024;
        var weight = Tensor(DType.BF16, Size, Size, 0.05);
        var x = Tensor(DType.BF16, 2, Size, 1);
        var tensors = Enumerable.Range(0, 20).Select(_ => new TestTensor(_device, DType.BF16, 2, Size, 0, null)).ToArray();
        var current = x.Tensor;
        foreach (var next in tensors)
        {
            _ops.MatMul(current, weight.Tensor, null, next.Tensor);
            current = next.Tensor;
        }

        _device.Synchronize();
        var input = x.Values;
        for (var i = 0; i < tensors.Length; i++)
        {
            var (product, magnitude) = ReferenceMatMul.Run(input, weight.Values, null);
            tensors[i].AssertClose(
                product, (t, n) => (2e-6 * magnitude[t, n]) + (Math.Abs(product[t, n]) / 256), $"link {i}");
            input = tensors[i].Values;
        }
    }

    private void Multiply(DType dtype, DType outputDType, int tokens, int rows, int columns)
    {
        var x = Tensor(dtype, tokens, columns, 2, padding: 8);
        var weight = Tensor(dtype, rows, columns, 1, padding: 16);
        var bias = _random.Next(2) == 0 ? null : Tensor(_random.Next(2) == 0 ? DType.BF16 : dtype, 1, rows, 1, padding: _random.Next(2) * 3);
        var output = new TestTensor(_device, outputDType, tokens, rows, _random.Next(0, 9), null);
        _ops.MatMul(x.Tensor, weight.Tensor, bias?.Tensor, output.Tensor);
        var (product, magnitude) = ReferenceMatMul.Run(x.Values, weight.Values, bias?.Values);
        var rounding = outputDType switch { DType.BF16 => 1.0 / 256, DType.F16 => 1.0 / 2048, _ => 0 };

        output.AssertClose(
            product, (t, n) => (3e-6 * magnitude[t, n]) + (1.01 * rounding * Math.Abs(product[t, n])) + Math.ScaleB(1, -24),
            $"{dtype} to {outputDType}, T {tokens} N {rows} K {columns}, bias {bias is not null}");
        x.AssertUntouched("x");
        weight.AssertUntouched("weight");
    }

    private TestTensor Tensor(DType dtype, int rows, int columns, double range, int padding = 0)
    {
        var values = new double[rows, columns];
        for (var r = 0; r < rows; r++)
        {
            for (var c = 0; c < columns; c++)
            {
                values[r, c] = ((_random.NextDouble() * 2) - 1) * range;
            }
        }

        return new TestTensor(_device, dtype, rows, columns, padding, values);
    }
}
