using TensorParallel.Protocol.Checkpoints;
using TensorParallel.TestKit.ReferenceOps;
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

        foreach (var (tokens, rows, columns) in ((int, int, int)[])[(1, 1, 1), (2, 5, 16), (6, 4, 32), (12, 8, 64),
            (1, 257, 96)])
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

    [Fact]
    public void MatMul_of_no_columns_gives_the_bias()
    {
        var bias = Input(DType.BF16, 1, 5);
        var output = Output(2, 5);
        Ops.MatMul(Input(DType.F32, 2, 0).Tensor, Input(DType.BF16, 5, 0).Tensor, bias.Tensor, output.Tensor);
        var expected = new double[2, 5];
        for (var n = 0; n < 10; n++)
        {
            expected[n / 5, n % 5] = bias.Values[0, n % 5];
        }

        output.AssertClose(expected, (_, _) => 1e-7, "K = 0");
    }

    [Fact]
    public void MatMul_of_no_tokens_does_nothing()
    {
        var output = Output(0, 5);
        Ops.MatMul(Input(DType.F32, 0, 8).Tensor, Input(DType.BF16, 5, 8).Tensor, null, output.Tensor);
        output.AssertUntouched("T = 0");
    }

    private void MatMul(DType dtype, int tokens, int rows, int columns)
    {
        // x as a column view of something wider: the columns beside it are numbers that would show.
        var wide = Input(DType.F32, tokens, columns + 11, 2);
        var weight = Input(dtype, rows, columns);
        var biasDType = (DType[])[DType.F32, DType.BF16, DType.F16];
        var bias = Random.Next(2) == 0 ? null : Input(biasDType[Random.Next(3)], 1, rows, 3);
        var output = Output(tokens, rows);
        Ops.MatMul(wide.Tensor.ColumnsAt(7, columns), weight.Tensor, bias?.Tensor, output.Tensor);
        var (product, magnitude) = ReferenceMatMul.Run(Columns(wide.Values, 7, columns), weight.Values, bias?.Values);
        output.AssertClose(
            product, (t, n) => 2e-6 * magnitude[t, n],
            $"{dtype} T {tokens} N {rows} K {columns} bias {bias is not null}");
    }
}
