using TensorParallel.Protocol.Checkpoints;
using TensorParallel.TestKit.ReferenceOps;
using TensorParallel.Worker.Devices;
using TensorParallel.Worker.Ops.Cuda;
using TensorParallel.Worker.Tests.Ops;
using Xunit;

namespace TensorParallel.Worker.Gpu.Tests.Ops;

/// <summary>Products of fresh random numbers at aligned shapes, whichever kernels <paramref name="ops"/> makes them by.</summary>
/// <param name="device">The GPU; it and the operations stay the caller's.</param>
/// <param name="ops">Its operations.</param>
/// <param name="output">Gets the seed.</param>
internal sealed class ProductCases(CudaDevice device, CudaOps ops, ITestOutputHelper output)
{
    /// <summary>Sizes and numbers.</summary>
    public Random Random { get; } = Seeded(output);

    /// <summary>Half a unit in the last place of a dtype, relative, and a little.</summary>
    public static double Rounding(DType dtype) => dtype switch { DType.BF16 => 1.01 / 256, DType.F16 => 1.01 / 2048, _ => 0 };

    /// <summary>A product with odd gaps behind rows, and a bias of one dtype or another in half of all cases.</summary>
    public void Multiply(DType dtype, DType outputDType, int tokens, int rows, int columns)
    {
        var x = Tensor(dtype, tokens, columns, 2, padding: 8 * Random.Next(0, 3));
        var weight = Tensor(dtype, rows, columns, 1, padding: 8 * Random.Next(0, 3));
        var biasDType = ((DType[])[DType.F32, DType.BF16, dtype])[Random.Next(3)];
        var bias = Random.Next(2) == 0 ? null : Tensor(biasDType, 1, rows, 1, padding: Random.Next(2) * 3);
        var result = new TestTensor(device, outputDType, tokens, rows, Random.Next(0, 9), null);
        ops.MatMul(x.Tensor, weight.Tensor, bias?.Tensor, result.Tensor);
        var (product, magnitude) = ReferenceMatMul.Run(x.Values, weight.Values, bias?.Values);
        result.AssertClose(
            product, (t, n) => (3e-6 * magnitude[t, n]) + (Rounding(outputDType) * Math.Abs(product[t, n])) + Math.ScaleB(1, -24),
            $"{dtype} to {outputDType}, T {tokens} N {rows} K {columns}, bias {(bias is null ? "none" : biasDType)}, cut {ops.StreamCut}");
        x.AssertUntouched("x");
        weight.AssertUntouched("weight");
    }

    /// <summary>Launches in a chain, each fed by the last: a kernel that starts too early reads what is not there yet.</summary>
    public void Chain(int tokens, int links)
    {
        const int Size = 1024;
        var weight = Tensor(DType.BF16, Size, Size, 0.05);
        var x = Tensor(DType.BF16, tokens, Size, 1);
        var tensors = Enumerable.Range(0, links).Select(_ => new TestTensor(device, DType.BF16, tokens, Size, 0, null)).ToArray();
        var current = x.Tensor;
        foreach (var next in tensors)
        {
            ops.MatMul(current, weight.Tensor, null, next.Tensor);
            current = next.Tensor;
        }

        device.Synchronize();
        var input = x.Values;
        for (var i = 0; i < tensors.Length; i++)
        {
            var (product, magnitude) = ReferenceMatMul.Run(input, weight.Values, null);
            tensors[i].AssertClose(product, (t, n) => (2e-6 * magnitude[t, n]) + (Math.Abs(product[t, n]) / 256), $"link {i}");
            input = tensors[i].Values;
        }
    }

    /// <summary>Random numbers up to ±<paramref name="range"/>.</summary>
    public TestTensor Tensor(DType dtype, int rows, int columns, double range, int padding = 0)
    {
        var values = new double[rows, columns];
        for (var r = 0; r < rows; r++)
        {
            for (var c = 0; c < columns; c++)
            {
                values[r, c] = ((Random.NextDouble() * 2) - 1) * range;
            }
        }

        return new TestTensor(device, dtype, rows, columns, padding, values);
    }

    private static Random Seeded(ITestOutputHelper output)
    {
        var seed = Random.Shared.Next();
        output.WriteLine($"seed {seed}");
        return new Random(seed);
    }
}
