using TensorParallel.Protocol.Architectures;
using TensorParallel.Protocol.Checkpoints;
using TensorParallel.TestKit.ReferenceOps;
using TensorParallel.Worker.Devices;
using Xunit;

namespace TensorParallel.Worker.Tests.Ops;

public abstract partial class OpsConformance
{
    [Theory]
    [InlineData(DType.F32)]
    [InlineData(DType.BF16)]
    [InlineData(DType.F16)]
    public void MatMul_matches_at_odd_sizes(DType dtype)
    {
        foreach (var tokens in (int[])[1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 13, 14, 31, 32, 33])
        {
            MatMul(dtype, tokens, Random.Next(1, 80), Random.Next(1, 150));
        }

        foreach (var (tokens, rows, columns) in ((int, int, int)[])[(1, 1, 1), (2, 5, 16), (6, 4, 32), (12, 8, 64), (1, 257, 96)])
        {
            MatMul(dtype, tokens, rows, columns);
        }

        AssertInputsUntouched();
    }

    [Theory]
    [InlineData(DType.F32)]
    [InlineData(DType.BF16)]
    public void MatMul_matches_over_several_blocks_of_columns(DType dtype)
    {
        MatMul(dtype, 1, 37, 4096 + 5);
        MatMul(dtype, 5, 9, 2048);
        MatMul(dtype, 19, 21, 5000);
        AssertInputsUntouched();
    }

    /// <summary>A bias that all but cancels the product: what is left shows whether the product was rounded before the sum.</summary>
    [Theory]
    [InlineData(DType.F32)]
    [InlineData(DType.BF16)]
    [InlineData(DType.F16)]
    public void MatMul_adds_the_bias_before_it_rounds(DType dtype)
    {
        foreach (var tokens in (int[])[1, 2, 5, 16, 17, 40])
        {
            foreach (var biasDType in (DType[])[DType.F32, DType.BF16, DType.F16])
            {
                var row = Input(Activation, 1, 64, 2).Values;
                var same = new double[tokens, 64];
                for (var i = 0; i < same.Length; i++)
                {
                    same[i / 64, i % 64] = row[0, i % 64];
                }

                var (x, weight) = (Input(Activation, same), Input(dtype, 48, 64));
                var product = ReferenceMatMul.Run(row, weight.Values, null).Product;
                var opposite = new double[1, 48];
                for (var n = 0; n < 48; n++)
                {
                    opposite[0, n] = -product[0, n] * (1 + (Random.NextDouble() / 200));
                }

                AssertProduct(x.Tensor, same, weight, Input(biasDType, opposite), $"{dtype} T {tokens} bias {biasDType}");
            }
        }
    }

    [Fact]
    public void MatMul_of_no_columns_gives_the_bias()
    {
        var bias = Input(DType.BF16, 1, 5);
        var output = Output(2, 5);
        Ops.MatMul(Input(Activation, 2, 0).Tensor, Input(DType.BF16, 5, 0).Tensor, bias.Tensor, output.Tensor);
        var expected = new double[2, 5];
        for (var n = 0; n < 10; n++)
        {
            expected[n / 5, n % 5] = bias.Values[0, n % 5];
        }

        output.AssertClose(expected, (t, n) => 1e-7 + Rounded(expected[t, n]), "K = 0");
    }

    [Fact]
    public void MatMul_of_no_tokens_does_nothing()
    {
        var output = Output(0, 5);
        Ops.MatMul(Input(Activation, 0, 8).Tensor, Input(DType.BF16, 5, 8).Tensor, null, output.Tensor);
        output.AssertUntouched("T = 0");
    }

    [Theory]
    [InlineData(DType.F32)]
    [InlineData(DType.BF16)]
    [InlineData(DType.F16)]
    public void MatMulGated_is_a_product_and_an_activation(DType dtype)
    {
        foreach (var kind in Enum.GetValues<ActivationKind>())
        {
            foreach (var (tokens, columns) in ((int, int)[])[(1, 1), (1, 61), (2, 40), (3, 17), (9, 75), (16, 24), (17, 33)])
            {
                MatMulGated(dtype, kind, tokens, columns, Random.Next(1, 120));
                MatMulGated(dtype, kind, tokens, columns, 8 * Random.Next(1, 60));
            }
        }

        AssertInputsUntouched();
    }

    private void MatMulGated(DType dtype, ActivationKind kind, int tokens, int columns, int inner)
    {
        var x = Input(Activation, tokens, inner, 2);
        var weight = Input(dtype, 2 * columns, inner);
        var bias = Random.Next(2) == 0 ? null : Input(DType.BF16, 1, 2 * columns, 2);
        var (fused, output) = (Output(tokens, 2 * columns), Output(tokens, columns));
        Ops.MatMulGated(x.Tensor, weight.Tensor, bias?.Tensor, kind, fused.Tensor, output.Tensor);
        var (product, magnitude) = ReferenceMatMul.Run(x.Values, weight.Values, bias?.Values);
        var expected = ReferenceRows.GatedActivation(
            Columns(product, 0, columns), Columns(product, columns, columns), kind);

        // Errors of gate and up, which may have been rounded, through a function of slope up to 1.13.
        double Error(int t, int n) => (2e-6 * magnitude[t, n]) + Rounded(product[t, n]);
        output.AssertClose(
            expected,
            (t, n) => (1.2 * Error(t, n) * (Math.Abs(product[t, columns + n]) + Error(t, columns + n)))
                + ((Math.Abs(product[t, n]) + 1e-6) * Error(t, columns + n)) + (1e-6 * Math.Abs(expected[t, n]))
                + Rounded(expected[t, n]) + 1e-7,
            $"{kind} {dtype} T {tokens} I {columns} K {inner} bias {bias is not null}");
    }

    private void MatMul(DType dtype, int tokens, int rows, int columns)
    {
        // x as a column view of something wider: the columns beside it are numbers that would show.
        var wide = Input(Activation, tokens, columns + 11, 2);
        var weight = Input(dtype, rows, columns);
        var biasDType = (DType[])[DType.F32, DType.BF16, DType.F16];
        var bias = Random.Next(2) == 0 ? null : Input(biasDType[Random.Next(3)], 1, rows, 3);
        AssertProduct(
            wide.Tensor.ColumnsAt(7, columns), Columns(wide.Values, 7, columns), weight, bias,
            $"{dtype} T {tokens} N {rows} K {columns} bias {bias is not null}");
    }

    private void AssertProduct(Tensor x, double[,] values, TestTensor weight, TestTensor? bias, string what)
    {
        var output = Output(x.Rows, weight.Tensor.Rows);
        Ops.MatMul(x, weight.Tensor, bias?.Tensor, output.Tensor);
        var (product, magnitude) = ReferenceMatMul.Run(values, weight.Values, bias?.Values);
        output.AssertClose(product, (t, n) => (2e-6 * magnitude[t, n]) + Rounded(product[t, n]), what);
    }
}
